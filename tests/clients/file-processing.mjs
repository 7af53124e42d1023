// Talks to a running file-processing server as its users do: with curl's multipart forms. exiftool writes metadata
// into the files that are sent and looks for it in the files that come back.
//
//   node file-processing.mjs http://127.0.0.1:3104
//
// FILE_PROCESSING_CALLBACK_HOST names this machine as the server reaches it, for webhooks (default 127.0.0.1);
// FILE_PROCESSING_API_KEY is sent where it is set. Needs curl and exiftool. Prints `ok …` or `not ok …: why` for each
// check and ends with `N passed, M failed`. Makes its own ids, so it can run again and again on one server.

import { execFile } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PATIENCE, assert, check, equal, finish, within } from './checks.mjs'

const url = process.argv[2]
const callbackHost = process.env.FILE_PROCESSING_CALLBACK_HOST ?? '127.0.0.1'
const key = process.env.FILE_PROCESSING_API_KEY
if (!url) {
  console.error('usage: node file-processing.mjs URL')
  process.exit(2)
}

const execute = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'file-processing-'))
const limit = 52_428_800
const marker = 'SECRETMARK'

process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
within(300)

const file = (name) => join(folder, name)

// curl, its answer's status, and its body as JSON where it is JSON.
async function curl(path, ...options) {
  const auth = key ? ['-H', `X-API-Key: ${key}`] : []
  const address = path.startsWith('http') ? path : url + path
  const { stdout } = await execute('curl', ['-sS', '--max-time', '60', '-w', '\n%{http_code}', ...auth, ...options, address], {
    maxBuffer: 64 << 20,
  })
  const cut = stdout.lastIndexOf('\n')
  const text = stdout.slice(0, cut)
  let body
  try {
    body = JSON.parse(text)
  } catch {
    body = undefined
  }
  return { status: Number(stdout.slice(cut + 1)), body, text }
}

// Posts a file with fields; a value that is no string is written as JSON.
function post(path, name, fields = {}, type = '') {
  const form = Object.entries(fields).flatMap(([field, value]) => [
    '-F',
    `${field}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  ])
  return curl(path, '-F', `file=@${file(name)}${type && `;type=${type}`}`, ...form)
}

const postJson = (path, body) =>
  curl(path, '-H', 'content-type: application/json', '-d', JSON.stringify(body))

async function download(address, name) {
  const headers = file(`${name}.headers`)
  const { stdout } = await execute('curl', ['-sS', '-D', headers, '-o', file(name), '-w', '%{http_code}', address])
  equal(Number(stdout), 200, `the status of ${address}`)
  const text = readFileSync(headers, 'utf8').toLowerCase()
  const type = /^content-type: (.*)\r$/m.exec(text)?.[1]
  assert(text.includes('x-content-type-options: nosniff'), 'nosniff is missing')
  return { bytes: readFileSync(file(name)), type, headers: text }
}

async function tags(name, ...options) {
  const { stdout } = await execute('exiftool', ['-j', '-a', '-u', '-G1', '-ee', ...options, file(name)])
  return JSON.parse(stdout)[0]
}

// A BMP of smooth colours: the one format that needs no encoder. The server makes all others of it.
function writeBitmap(name, width, height, shift = 0) {
  const row = Math.ceil((width * 3) / 4) * 4
  const bytes = Buffer.alloc(54 + row * height)
  bytes.write('BM')
  bytes.writeUInt32LE(bytes.length, 2)
  bytes.writeUInt32LE(54, 10)
  bytes.writeUInt32LE(40, 14)
  bytes.writeInt32LE(width, 18)
  bytes.writeInt32LE(height, 22)
  bytes.writeUInt16LE(1, 26)
  bytes.writeUInt16LE(24, 28)
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = 54 + y * row + x * 3
      bytes[at] = (x + shift) & 255
      bytes[at + 1] = (y * 2) & 255
      bytes[at + 2] = y > height / 2 ? 220 : 30
    }
  }
  writeFileSync(file(name), bytes)
}

async function make(format, name, from = 'photo.bmp', fields = {}) {
  const answer = await post('/image/convert', from, { format, ...fields })
  equal(answer.status, 200, `converting to ${format}`)
  await download(answer.body.url, name)
}

const gif = Buffer.from('R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs=', 'base64')

async function prepare() {
  writeBitmap('photo.bmp', 320, 200)
  writeFileSync(file('photo.gif'), gif)
  for (const format of ['jpeg', 'png', 'webp', 'tiff']) await make(format, `photo.${format}`)
  writeFileSync(file('note.txt'), 'one two three\n')
  writeFileSync(file('empty.png'), '')
  writeFileSync(file('garbage.jpg'), Buffer.from('this is no image \u0000\u0001'))
  writeFileSync(file('drawing.svg'), '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
  const jpeg = readFileSync(file('photo.jpeg'))
  writeFileSync(file('truncated.jpeg'), jpeg.subarray(0, jpeg.length / 2))
  writeFileSync(file('full.jpeg'), Buffer.concat([jpeg, Buffer.alloc(limit - jpeg.length)]))
  writeFileSync(file('over.jpeg'), Buffer.concat([jpeg, Buffer.alloc(limit + 1 - jpeg.length)]))
  writeFileSync(file('stub.pdf'), '%PDF-1.4\n')
  writeFileSync(file('whole.pdf'), '%PDF-1.4\n1 0 obj\nendobj\nstartxref\n9\n%%EOF\n')
  writeFileSync(file('film.mp4'), Buffer.from('\u0000\u0000\u0000\u0018ftypisom\u0000\u0000\u0002\u0000isomiso2'))
}

async function metadata() {
  writeFileSync(file('small.jpeg'), readFileSync(file('photo.jpeg')))
  const common = [
    `-Artist=${marker}`, `-Copyright=${marker}`, `-ImageDescription=${marker}`, `-UserComment=${marker}`,
    '-GPSLatitude=48.8584', '-GPSLatitudeRef=N', '-GPSLongitude=2.2945', '-GPSLongitudeRef=E',
    `-XMP:Creator=${marker}`, `-XMP:City=${marker}`,
  ]
  const own = {
    jpeg: [...common, `-IPTC:Caption-Abstract=${marker}`, `-Comment=${marker}`, `-ThumbnailImage<=${file('small.jpeg')}`],
    png: [...common, `-PNG:Comment=${marker}`, `-PNG:Author=${marker}`],
    webp: common,
    tiff: [...common, `-IPTC:Caption-Abstract=${marker}`],
    gif: [`-Comment=${marker}`, `-XMP:Creator=${marker}`],
  }
  for (const [format, options] of Object.entries(own)) {
    const name = `loaded.${format}`
    writeFileSync(file(name), readFileSync(file(`photo.${format}`)))
    await execute('exiftool', ['-q', '-overwrite_original', ...options, file(name)])
    await check(`metadata is gone from a ${format}, as exiftool sees it`, async () => {
      const before = await tags(name)
      assert(JSON.stringify(before).includes(marker), 'nothing was written')
      const answer = await post('/image/strip-metadata', name)
      equal(answer.status, 200, 'the status')
      equal(answer.body.format, format, 'the format')
      const { bytes } = await download(answer.body.url, `stripped.${format}`)
      assert(!bytes.includes(marker), 'the bytes still hold the mark')
      const after = await tags(`stripped.${format}`)
      const bad = Object.keys(after).filter((tag) =>
        /^(GPS|XMP|IPTC|IFD1|ExifIFD|Photoshop|InteropIFD)|Comment|Artist|Creator|Thumbnail|Copyright|Software/.test(tag),
      )
      equal(bad.join(), '', 'what is left')
      equal(after['File:ImageWidth'] ?? after['PNG:ImageWidth'] ?? after['IFD0:ImageWidth'] ?? after['RIFF:ImageWidth'] ?? after['GIF:ImageWidth'], format === 'gif' ? 1 : 320, 'the width')
    })
  }
  await check('pixels of a JPEG are the same to the bit after stripping', async () => {
    const tail = (name) => {
      const bytes = readFileSync(file(name))
      return bytes.subarray(bytes.indexOf(Buffer.from([0xff, 0xdb])))
    }
    const loaded = tail('photo.jpeg')
    assert(tail('stripped.jpeg').equals(loaded), 'the scan has changed')
  })
  await check('every other operation leaves metadata behind too', async () => {
    for (const path of ['/image/resize', '/image/optimize', '/image/thumbnail', '/image/convert']) {
      const answer = await post(path, 'loaded.jpeg', { width: '64', format: 'jpeg' })
      const { bytes } = await download(answer.body.url, 'clean.jpeg')
      assert(!bytes.includes(marker) && !bytes.includes('Exif'), `${path} kept metadata`)
    }
  })
  await check('orientation is in the pixels before its tag goes', async () => {
    writeFileSync(file('turned.jpeg'), readFileSync(file('photo.jpeg')))
    await execute('exiftool', ['-q', '-overwrite_original', '-n', '-Orientation=6', file('turned.jpeg')])
    for (const path of ['/image/strip-metadata', '/image/optimize']) {
      const answer = await post(path, 'turned.jpeg')
      equal(`${answer.body.width}x${answer.body.height}`, '200x320', `${path} makes`)
      await download(answer.body.url, 'upright.jpeg')
      equal((await tags('upright.jpeg'))['IFD0:Orientation'], undefined, 'the orientation')
    }
    const info = await post('/image/info', 'turned.jpeg')
    equal(`${info.body.width}x${info.body.height}`, '200x320', 'info says')
  })
  await check('info tells the EXIF fields that a file has', async () => {
    const { body } = await post('/image/info', 'loaded.jpeg')
    equal(body.exif.Artist, marker, 'the artist')
    assert(body.exif.GPSLatitude?.includes('48'), 'the place is missing')
    equal(body.format, 'jpeg', 'the format')
    equal(body.hasAlpha, false, 'hasAlpha')
  })
}

async function images() {
  const sizes = { cover: '100x100', contain: '100x100', fill: '100x100', inside: '100x63', outside: '160x100' }
  for (const [fit, size] of Object.entries(sizes)) {
    await check(`resize with fit ${fit} makes ${size}`, async () => {
      const answer = await post('/image/resize', 'photo.jpeg', { width: '100', height: '100', fit })
      equal(answer.status, 200, 'the status')
      equal(answer.body.success, true, 'success')
      const { bytes, type } = await download(answer.body.url, 'resized.jpeg')
      equal(type, 'image/jpeg', 'the content type')
      equal(bytes.length, answer.body.size, 'the size')
      const seen = await tags('resized.jpeg')
      equal(`${seen['File:ImageWidth']}x${seen['File:ImageHeight']}`, size, 'the image')
    })
  }
  await check('optimize makes a smaller progressive JPEG', async () => {
    await make('jpeg', 'heavy.jpeg', 'photo.bmp', { quality: '100' })
    const answer = await post('/image/optimize', 'heavy.jpeg', { quality: '70', progressive: 'true' })
    const { bytes } = await download(answer.body.url, 'optimized.jpeg')
    assert(bytes.length < readFileSync(file('heavy.jpeg')).length, 'it has not become smaller')
    assert(bytes.includes(Buffer.from([0xff, 0xc2])), 'it is not progressive')
  })
  await check('thumbnail cuts a square of the size that was asked', async () => {
    const { body } = await post('/image/thumbnail', 'photo.png', { size: '64' })
    equal(`${body.width}x${body.height}`, '64x64', 'the thumbnail')
  })
  for (const format of ['jpeg', 'png', 'webp', 'tiff']) {
    await check(`convert writes ${format}`, async () => {
      for (const from of ['photo.bmp', 'photo.gif', 'photo.jpeg', 'photo.png', 'photo.webp', 'photo.tiff']) {
        const answer = await post('/image/convert', from, { format })
        equal(answer.status, 200, `from ${from}`)
        const { type } = await download(answer.body.url, 'converted')
        equal(type, `image/${format}`, 'the content type')
        equal((await tags('converted'))['File:MIMEType'], `image/${format}`, 'the content')
      }
    })
  }
  await check('content decides, not the label', async () => {
    const answer = await post('/image/strip-metadata', 'photo.png', {}, 'image/jpeg')
    equal(answer.status, 200, 'the status')
    equal(answer.body.format, 'png', 'the format')
  })
  await check('a batch tells of each file by its name', async () => {
    const files = ['photo.jpeg', 'garbage.jpg', 'photo.png'].flatMap((name) => ['-F', `files=@${file(name)}`])
    const { status, body } = await curl('/batch/optimize', ...files, '-F', 'quality=60')
    equal(status, 200, 'the status')
    equal(`${body.processed} ${body.failed}`, '2 1', 'processed and failed')
    equal(body.results.map((result) => result.filename).join(), 'photo.jpeg,garbage.jpg,photo.png', 'the names')
    for (const result of body.results.filter((result) => result.success)) await download(result.url, 'one')
  })
}

async function process_() {
  const options = { resize: true, maxWidth: 160, optimize: true, quality: 80, thumbnail: true, stripMetadata: true }
  await check('process answers with addresses that open', async () => {
    const { status, body } = await post('/process', 'loaded.jpeg', { options })
    equal(status, 200, 'the status')
    equal(body.metadata.stripped, true, 'stripped')
    equal(body.width, 160, 'the width')
    await download(body.url, 'processed')
    const { type } = await download(body.thumbnail, 'thumbnail')
    equal(type, 'image/jpeg', 'the content type')
    const status_ = await curl(`/status/${body.fileId}`)
    equal(status_.body.status, 'completed', 'the status of the file')
  })
  await check('five at once all succeed', async () => {
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => post('/process', 'photo.jpeg', { options })))
    equal(answers.map((answer) => answer.status).join(), '200,200,200,200,200', 'the statuses')
  })
  await check('what is no image is refused by its content', async () => {
    equal((await post('/process', 'note.txt', { options })).status, 415, 'a text')
    equal((await post('/process', 'film.mp4', { options })).status, 501, 'a film')
    equal((await post('/process', 'whole.pdf', { options })).status, 501, 'a PDF')
  })
}

async function poll(id) {
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    const { body } = await curl(`/api/jobs/${id}`)
    if (!['pending', 'processing'].includes(body.job.status)) return body
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('the job did not end')
}

async function jobs() {
  const hooks = []
  const receiver = createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      hooks.push({ body: Buffer.concat(chunks), signature: request.headers['x-signature'], path: request.url })
      // The first delivery is refused, so that the second proves the retry.
      response.writeHead(hooks.length === 1 ? 500 : 200).end()
    })
  })
  await new Promise((resolve) => receiver.listen(0, '0.0.0.0', resolve))
  const webhookUrl = `http://${callbackHost}:${receiver.address().port}/hook`
  const fileId = randomUUID()
  const stored = await post('/files', 'loaded.jpeg', { fileId })
  await check('an original is kept and served', async () => {
    equal(stored.status, 201, 'the status')
    const { bytes, type } = await download(stored.body.url, 'original')
    equal(type, 'image/jpeg', 'the content type')
    assert(bytes.equals(readFileSync(file('loaded.jpeg'))), 'the bytes differ')
  })
  const order = {
    fileId, filePath: stored.body.path, fileName: 'loaded.jpeg', fileSize: 1, mimeType: 'image/jpeg',
    operations: ['thumbnail', 'optimize', 'metadata', 'scan'], webhookUrl, webhookSecret: 'hush', callbackData: { a: 1 },
  }
  const created = await postJson('/api/jobs', order)
  await check('a job goes from pending to completed', async () => {
    equal(created.status, 201, 'the status')
    equal(created.body.status, 'pending', 'the first state')
    assert(created.body.estimatedDuration > 0, 'no estimate')
    const { job, thumbnails, metadata, scan, optimization } = await poll(created.body.jobId)
    equal(job.status, 'completed', `the last state (${job.error})`)
    equal(job.fileId, fileId, 'the file')
    equal(thumbnails.map((thumbnail) => thumbnail.path).join(), [100, 400, 1200].map((size) => `thumbnails/${fileId}/${size}.jpeg`).join(), 'the thumbnails')
    for (const thumbnail of thumbnails) await download(thumbnail.url, 'thumbnail')
    equal(`${metadata.width}x${metadata.height}`, '320x200', 'the metadata')
    assert(/^[0-9a-f]{64}$/.test(metadata.sha256) && metadata.blurHash && metadata.dominantColor, 'metadata is missing')
    assert(optimization.optimizedSize < optimization.originalSize, 'nothing was saved')
    equal(`${scan.status} ${scan.isClean}`, 'error false', 'the scan')
    assert(!JSON.stringify(job).includes('hush'), 'the secret is told')
  })
  await check('its end is told, signed, and told again when it was refused', async () => {
    for (const end = Date.now() + PATIENCE; Date.now() < end && hooks.length < 2;) await new Promise((resolve) => setTimeout(resolve, 50))
    assert(hooks.length >= 2, `${hooks.length} deliveries`)
    const { body, signature } = hooks[1]
    equal(signature, createHmac('sha256', 'hush').update(body).digest('hex'), 'the signature')
    const report = JSON.parse(body)
    equal(`${report.event} ${report.jobId} ${report.callbackData.a}`, `job.completed ${created.body.jobId} 1`, 'the report')
  })
  await check('a job whose file is not there fails and says so', async () => {
    const { body } = await postJson('/api/jobs', { ...order, webhookUrl: undefined, filePath: 'nowhere/file.png' })
    const { job } = await poll(body.jobId)
    equal(job.status, 'failed', 'the state')
    assert(job.error.includes('nowhere/file.png'), job.error)
    equal((await curl(`/api/jobs/${body.jobId}/cancel`, '-X', 'POST')).status, 409, 'cancelling it')
  })
  await check('process with JSON orders a job that status finds', async () => {
    const id = randomUUID()
    const { status, body } = await postJson('/process', {
      fileId: id, storagePath: stored.body.path, operations: { resize: true, optimize: true, thumbnail: true, stripMetadata: true },
    })
    equal(status, 202, 'the status')
    await poll(body.jobId)
    const seen = await curl(`/status/${id}`)
    equal(seen.body.status, 'completed', 'the state')
    await download(seen.body.url, 'result')
  })
  await check('lists, statistics and thumbnails of a file agree', async () => {
    const list = await curl('/api/jobs?status=completed&limit=5')
    assert(list.body.jobs.length > 0 && list.body.jobs.every((job) => job.status === 'completed'), 'the list')
    const { body } = await curl('/api/stats')
    for (const field of ['pending', 'processing', 'completed', 'failed', 'avgDurationMs', 'totalProcessed', 'thumbnailsGenerated', 'storageUsed']) {
      equal(typeof body[field], 'number', field)
    }
    const thumbnails = await curl(`/api/files/${fileId}/thumbnails`)
    equal(thumbnails.body.map((thumbnail) => thumbnail.format).join(), 'jpeg,jpeg,jpeg', 'the formats')
  })
  await check('a removed original is gone with all that was made of it', async () => {
    equal((await curl(`/files/${fileId}`, '-X', 'DELETE', '-H', `x-api-key: ${process.env.FILE_PROCESSING_API_KEY ?? ''}`)).status, 200, 'removing it')
    for (const path of [`/files/${fileId}`, `/thumbnails/${fileId}/100.jpeg`, `/optimized/${fileId}.jpeg`]) {
      equal((await curl(path)).status, 404, path)
    }
  })
  receiver.close()
}

async function refusals() {
  const cases = [
    ['a file of no byte', 'empty.png', 422], ['garbage', 'garbage.jpg', 415], ['a text', 'note.txt', 415],
    ['a drawing with a script', 'drawing.svg', 415], ['half a JPEG', 'truncated.jpeg', 422],
  ]
  for (const [what, name, wanted] of cases) {
    await check(`${what} is refused with ${wanted}`, async () => {
      for (const path of ['/image/resize', '/image/optimize', '/image/thumbnail', '/image/convert', '/process']) {
        const { status, body } = await post(path, name, { width: '10', format: 'png' }, 'image/png')
        equal(status, wanted, path)
        equal(typeof body.error, 'string', 'error')
        if (wanted === 415) assert(body.mimeType && body.supported.includes('image/png'), 'no list of types')
        else assert(body.reason && body.fileId, 'no reason')
      }
    })
  }
  await check('wrong parameters are named', async () => {
    const { status, body } = await post('/image/resize', 'photo.jpeg', { width: '-1', fit: 'squeeze' })
    equal(status, 400, 'the status')
    equal(body.details.map((detail) => detail.field).join(), 'width,width,fit', 'the fields')
    equal((await curl('/image/resize', '-F', 'width=10')).status, 400, 'a form without a file')
    equal((await postJson('/image/resize', {})).status, 415, 'no form')
    equal((await post('/image/convert', 'photo.jpeg', { format: 'avif' })).status, 501, 'AVIF')
  })
  await check('a file of 50 MiB is taken', async () => {
    equal((await post('/image/resize', 'full.jpeg', { width: '32' })).status, 200, 'the status')
  })
  await check('one byte more is refused, announced or not', async () => {
    for (const options of [[], ['-H', 'Transfer-Encoding: chunked']]) {
      const { status, body } = await curl('/image/resize', '-F', `file=@${file('over.jpeg')}`, '-F', 'width=32', ...options)
      equal(status, 413, 'the status')
      equal(body.maxSize, limit, 'maxSize')
      assert(body.size > limit, 'the size')
    }
  })
  await check('what is switched off says so and never that a file is clean', async () => {
    for (const [path, name, wanted] of [
      ['/video/thumbnail', 'garbage.jpg', 415], ['/video/metadata', 'film.mp4', 501],
      ['/document/preview', 'stub.pdf', 422], ['/document/preview', 'whole.pdf', 501],
      ['/document/extract-text', 'whole.pdf', 501], ['/scan', 'photo.jpeg', 501], ['/api/scan', 'photo.jpeg', 501],
    ]) {
      const { status, body } = await post(path, name)
      equal(status, wanted, `${path} with ${name}`)
      assert(body.error && body.clean !== true && body.isClean !== true, 'the answer')
    }
  })
  await check('text is given back from text', async () => {
    const { body } = await post('/document/extract-text', 'note.txt')
    equal(`${body.wordCount} ${body.text}`, '3 one two three\n', 'the text')
  })
  await check('no name leads out of the storage and no address is fetched', async () => {
    for (const path of ['/results/..%2f..%2fjobs.redb', '/results/%2e%2e', '/thumbnails/..%2f..%2f/jobs.redb', '/files/..']) {
      equal((await curl(path, '--path-as-is')).status, 404, path)
    }
    equal((await postJson('/api/jobs', { fileId: 'a', filePath: '../../etc/passwd' })).status, 400, 'a path with dots')
    equal((await postJson('/api/jobs', { fileId: 'a', fileUrl: 'http://127.0.0.1:1/a.png' })).status, 403, 'an address')
    equal((await postJson('/api/jobs', { fileId: 'a', filePath: 'a', webhookUrl: 'http://169.254.169.254/' })).status, 400, 'a link address')
    equal((await curl('/nowhere')).status, 404, 'an unknown route')
  })
}

async function contract() {
  await check('health has what its readers look for', async () => {
    const { status, body } = await curl('/health')
    equal(status, 200, 'the status')
    equal(`${body.status} ${body.service} ${body.healthy}`, 'healthy file-processing true', 'health')
    equal(`${body.capabilities.images} ${body.capabilities.videos} ${body.capabilities.documents}`, 'true false false', 'capabilities')
    assert(body.dependencies.storage.provider && body.dependencies.s3, 'the storage')
    for (const field of ['waiting', 'processing', 'completed']) equal(typeof body.queue[field], 'number', field)
    assert(body.memory.used > 0 && body.memory.max > 0 && body.services.worker === 'up', 'memory and services')
  })
  await check('metrics have the names that were promised', async () => {
    const { text } = await curl('/metrics')
    for (const line of [
      /^files_processed_total\{operation="resize",status="success"\} [1-9]/m, /^file_processing_jobs_total [1-9]/m,
      /^file_processing_duration_ms_bucket\{operation="resize",le="/m, /^file_processing_errors_total [1-9]/m,
      /^file_processing_queue_size 0$/m, /^http_request_duration_seconds_count/m,
    ]) assert(line.test(text), `${line} is missing`)
  })
}

await prepare()
await images()
await metadata()
await process_()
await jobs()
await refusals()
await contract()
await finish()
