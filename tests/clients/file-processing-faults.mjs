// Starts file-processing servers of its own and does to them what happens to servers: kills, full queues, slow and
// broken uploads, storages that go away and come back, hostile files.
//
//   node file-processing-faults.mjs PROGRAM MOTO_SERVER
//
// PROGRAM is the server's program, MOTO_SERVER PyPI's moto_server (an S3-compatible server). Needs promtool. Prints
// `ok …` or `not ok …: why` for each check and ends with `N passed, M failed`.

import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { assert, check, equal, eventually, finish, freePort, sleep as pause, within } from './checks.mjs'

const [program, moto] = process.argv.slice(2)
if (!program || !moto) {
  console.error('usage: node file-processing-faults.mjs PROGRAM MOTO_SERVER')
  process.exit(2)
}

const root = mkdtempSync(join(tmpdir(), 'file-processing-faults-'))
const children = new Set()

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(root, { recursive: true, force: true })
})
within(300)

// A server over a folder of its own, or over the one of a server before it.
async function start(settings = {}, data = mkdtempSync(join(root, 'data-'))) {
  const port = await freePort()
  const child = spawn(program, [], {
    env: { FILE_PROCESSING_PORT: String(port), FILE_PROCESSING_HOST: '127.0.0.1', FILE_PROCESSING_DATA_DIR: data, LOG_LEVEL: 'warn', ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.add(child)
  let log = ''
  child.stdout.on('data', (chunk) => (log += chunk))
  const ended = new Promise((resolve) => child.on('exit', (code) => (children.delete(child), resolve(code))))
  const url = `http://127.0.0.1:${port}`
  await eventually('an answer', async () => (await fetch(`${url}/live`)).ok)
  const stop = (signal) => (child.kill(signal), ended)
  return { url, port, data, child, stop, log: () => log }
}

function bitmap(width, height, shift = 0) {
  const row = Math.ceil((width * 3) / 4) * 4
  const bytes = Buffer.alloc(54 + row * height, 90 + (shift % 100))
  bytes.write('BM')
  bytes.fill(0, 2, 54)
  bytes.writeUInt32LE(bytes.length, 2)
  bytes.writeUInt32LE(54, 10)
  bytes.writeUInt32LE(40, 14)
  bytes.writeInt32LE(width, 18)
  bytes.writeInt32LE(height, 22)
  bytes.writeUInt16LE(1, 26)
  bytes.writeUInt16LE(24, 28)
  return bytes
}

async function post(server, path, bytes, fields = {}, headers = {}) {
  const form = new FormData()
  form.set('file', new Blob([bytes], { type: 'image/png' }), 'picture.png')
  for (const [field, value] of Object.entries(fields)) form.set(field, value)
  const answer = await fetch(server.url + path, { method: 'POST', body: form, headers })
  return { status: answer.status, body: await answer.json() }
}

async function json(server, path, body, headers = {}) {
  const options = body
    ? { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } }
    : { headers }
  const answer = await fetch(server.url + path, options)
  return { status: answer.status, body: await answer.json() }
}

const incoming = (server) => readdirSync(join(server.data, 'incoming'))

async function kills() {
  await check('every accepted job survives kill -9 and is completed by the next process', async () => {
    const first = await start({ FILE_PROCESSING_CONCURRENCY: '1' })
    const stored = await post(first, '/files', bitmap(3000, 2000))
    const ids = []
    for (let count = 0; count < 12; count += 1) {
      const { status, body } = await json(first, '/api/jobs', { fileId: `file-${count}`, filePath: stored.body.path })
      equal(status, 201, 'the status')
      ids.push(body.jobId)
    }
    await first.stop('SIGKILL')
    const second = await start({}, first.data)
    await eventually('the end of all jobs', async () => {
      const states = await Promise.all(ids.map(async (id) => (await json(second, `/api/jobs/${id}`)).body.job.status))
      return states.every((state) => state === 'completed') || states
    })
    equal((await fetch(`${second.url}/thumbnails/file-11/400.jpeg`)).status, 200, 'a thumbnail')
    await second.stop('SIGKILL')
  })
  await check('three orderly stops while a job runs fail nothing', async () => {
    // It answers slowly, and lets the job run until the stop.
    const held = new Set()
    const source = createServer((socket) => (held.add(socket), socket.on('error', () => {})))
    const port = await new Promise((resolve) => source.listen(0, '127.0.0.1', () => resolve(source.address().port)))
    const settings = { FILE_PROCESSING_FETCH_ALLOWED_HOSTS: '127.0.0.1' }
    let server = await start(settings)
    const { body } = await json(server, '/api/jobs', { fileId: 'slow', fileUrl: `http://127.0.0.1:${port}/slow.bmp` })
    const state = async () => (await json(server, `/api/jobs/${body.jobId}`)).body.job
    for (let count = 1; count <= 3; count += 1) {
      await eventually('a running job', async () => (await state()).status === 'processing')
      equal(await server.stop('SIGTERM'), 0, 'the exit code')
      server = await start(settings, server.data)
      const { status, attempts } = await state()
      assert(['pending', 'processing'].includes(status) && attempts <= 1, `${status} after ${attempts} attempts`)
    }
    for (const socket of held) socket.destroy()
    source.close()
    await server.stop('SIGKILL')
  })
  await check('what a killed process was receiving is removed by the next', async () => {
    const first = await start()
    const socket = connect(first.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(
      'POST /files HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 9999\r\n\r\n' +
        '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nsome bytes',
    )
    await eventually('a temporary file', () => incoming(first).length === 1)
    await first.stop('SIGKILL')
    const second = await start({}, first.data)
    equal(incoming(second).length, 0, 'temporary files')
    await second.stop('SIGTERM')
  })
  await check('SIGTERM lets a request end and stops within ten seconds', async () => {
    const server = await start()
    const answer = post(server, '/image/convert', bitmap(3000, 2000), { format: 'webp' })
    await eventually('work', async () => (await json(server, '/health')).body.queue.processing === 1)
    const stopped = server.stop('SIGTERM')
    equal((await answer).status, 200, 'the status')
    equal(await stopped, 0, 'the exit code')
  })
}

async function uploads() {
  const server = await start({ FILE_PROCESSING_UPLOAD_IDLE_TIMEOUT: '500' })
  const head =
    'POST /image/resize HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 9999\r\n\r\n' +
    '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nsome bytes'
  await check('an upload that stands still is answered with 408 and leaves nothing', async () => {
    const socket = connect(server.port, '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk) => (answer += chunk))
    socket.write(head)
    await eventually('an answer', () => answer.startsWith('HTTP/1.1 408') || answer)
    await eventually('an empty folder', () => incoming(server).length === 0)
    socket.destroy()
  })
  await check('uploads that break off leave nothing', async () => {
    for (let count = 0; count < 20; count += 1) {
      const socket = connect(server.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(head, () => socket.destroy())
    }
    await eventually('an empty folder', () => incoming(server).length === 0)
    equal((await post(server, '/image/resize', bitmap(8, 8), { width: '4' })).status, 200, 'the next upload')
  })
  await server.stop('SIGTERM')
  await check('three hundred slow uploads hold up nobody', async () => {
    const server = await start({ FILE_PROCESSING_CONCURRENCY: '1', FILE_PROCESSING_QUEUE_SIZE: '2' })
    const sockets = [...Array(300)].map(() => {
      const socket = connect(server.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(head)
      return socket
    })
    const trickle = setInterval(() => sockets.forEach((socket) => socket.write('x')), 500)
    await eventually('all uploads', () => incoming(server).length === 300 || incoming(server).length)
    for (let count = 0; count < 5; count += 1) {
      equal((await post(server, '/image/resize', bitmap(8, 8), { width: '4' })).status, 200, 'a request beside them')
    }
    clearInterval(trickle)
    sockets.forEach((socket) => socket.destroy())
    await server.stop('SIGTERM')
  })
}

async function limits() {
  await check('a full queue is answered with 503 and its numbers', async () => {
    const server = await start({ FILE_PROCESSING_CONCURRENCY: '1', FILE_PROCESSING_QUEUE_SIZE: '1' })
    const picture = bitmap(2000, 1500)
    const answers = await Promise.all([...Array(8)].map(() => post(server, '/image/convert', picture, { format: 'webp' })))
    const full = answers.filter((answer) => answer.status === 503)
    assert(full.length > 0 && answers.some((answer) => answer.status === 200), answers.map((answer) => answer.status).join())
    equal(`${full[0].body.queue} ${full[0].body.max}`, 'file-processing 2', 'queue and max')
    equal(typeof full[0].body.current, 'number', 'current')
    equal((await post(server, '/image/convert', picture, { format: 'jpeg' })).status, 200, 'a later request')
    await server.stop('SIGTERM')
  })
  await check('what takes too long is answered with 504 and its operation', async () => {
    const server = await start({ FILE_PROCESSING_TIMEOUT: '30' })
    const { status, body } = await post(server, '/image/convert', bitmap(3000, 2000), { format: 'webp', fileId: 'slow' })
    equal(status, 504, 'the status')
    equal(`${body.operation} ${body.timeout} ${body.fileId}`, 'convert 30 slow', 'the fields')
    await eventually('a free place', async () => (await json(server, '/health')).body.queue.processing === 0)
    await server.stop('SIGTERM')
  })
  await check('with a key, links open by their signature and nothing else does', async () => {
    const server = await start({ FILE_PROCESSING_API_KEY: 'right', FILE_PROCESSING_REQUIRE_KEY: 'true' })
    const key = { 'x-api-key': 'right' }
    equal((await post(server, '/image/resize', bitmap(8, 8), { width: '4' })).status, 401, 'without the key')
    const { body } = await post(server, '/image/resize', bitmap(8, 8), { width: '4' }, key)
    equal((await fetch(body.url)).status, 200, 'the link')
    equal((await fetch(body.url.split('?')[0])).status, 401, 'the link without its signature')
    const later = body.url.replace(/expires=(\d+)/, (_, time) => `expires=${Number(time) + 9999}`)
    equal((await fetch(later)).status, 401, 'the link with another time')
    equal((await fetch(body.url.split('?')[0], { headers: key })).status, 200, 'the link with the key')
    const stored = await post(server, '/files', bitmap(8, 8), {}, key)
    equal((await fetch(stored.body.url)).status, 200, 'the original')
    equal((await fetch(stored.body.url, { method: 'DELETE' })).status, 401, 'removing it with a link')
    equal((await fetch(stored.body.url, { method: 'DELETE', headers: key })).status, 200, 'removing it with the key')
    equal((await json(server, '/health')).status, 200, 'health')
    assert(!server.log().includes('right'), 'the key is in the log')
    await server.stop('SIGTERM')
  })
}

function pngChunk(kind, data) {
  const body = Buffer.concat([Buffer.from(kind), data])
  let crc = ~0
  for (const byte of body) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1))
  }
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(data.length)
  body.copy(chunk, 4)
  chunk.writeInt32BE(~crc, body.length + 4)
  return chunk
}

function png(width, height, data, colour = 2, depth = 8) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([depth, colour, 0, 0, 0], 8)
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, pngChunk('IHDR', header), pngChunk('IDAT', data), pngChunk('IEND', Buffer.alloc(0))])
}

const memory = (server, field) =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))[1]) / 1024

async function hostile() {
  const server = await start({ MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '1048576' })
  await check('a hundred bombs at once are refused in little memory', async () => {
    const bomb = png(50_000, 50_000, deflateSync(Buffer.alloc(64 << 20)))
    const answers = await Promise.all([...Array(100)].map(() => post(server, '/image/resize', bomb, { width: '10' })))
    for (const { status, body } of answers) {
      assert(status === 422 || status === 503, `${status} ${JSON.stringify(body)}`)
    }
    assert(answers.some((answer) => answer.status === 422), 'none was looked at')
    assert(memory(server, 'VmHWM') < 150, `${memory(server, 'VmHWM')} MiB`)
  })
  await check('the largest images that are taken, all at once, stay within 512 MiB', async () => {
    // 16 bits a channel with alpha: the most memory that a pixel can take.
    const wide = png(5000, 5000, deflateSync(Buffer.alloc((5000 * 8 + 1) * 5000)), 6, 16)
    const plain = png(8000, 5000, deflateSync(Buffer.alloc((8000 * 3 + 1) * 5000)))
    const many = [wide, plain, wide, plain, wide, plain]
    const answers = await Promise.all(many.map((bytes) => post(server, '/image/resize', bytes, { width: '100' })))
    equal(answers.map((answer) => answer.status).join(), '200,200,200,200,200,200', 'the statuses')
    assert(memory(server, 'VmHWM') < 512, `${memory(server, 'VmHWM')} MiB`)
  })
  await check('memory goes back once the work is done', async () => {
    await eventually('less memory', () => memory(server, 'VmRSS') < 120 || memory(server, 'VmRSS'))
  })
  await check('promtool finds nothing in the metrics but a name that others fixed', async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text()
    const complaints = await new Promise((resolve) => {
      const tool = execFile('promtool', ['check', 'metrics'], (error, out, err) => resolve(out + err))
      tool.stdin.end(text)
    })
    const fixed = /^file_processing_duration_ms (use base unit|metric names should not contain abbreviated units)/
    const others = complaints.split('\n').filter((line) => line && !fixed.test(line))
    equal(others.join('; '), '', 'what promtool says')
  })
  await server.stop('SIGTERM')
}

async function storages() {
  await check('a folder that goes away is named by health and found again', async () => {
    const server = await start()
    const files = join(server.data, 'files')
    const away = `${files}.away`
    renameSync(files, away)
    writeFileSync(files, 'in the way')
    await eventually('503', async () => (await fetch(`${server.url}/health`)).status === 503)
    const { body } = await json(server, '/health')
    equal(`${body.status} ${body.dependencies.storage.status}`, 'unhealthy disconnected', 'health')
    assert(body.error.includes('files'), body.error)
    equal((await post(server, '/image/resize', bitmap(8, 8), { width: '4' })).status, 503, 'a request')
    rmSync(files)
    renameSync(away, files)
    await eventually('200', async () => (await fetch(`${server.url}/health`)).status === 200)
    equal((await post(server, '/image/resize', bitmap(8, 8), { width: '4' })).status, 200, 'a request')
    await server.stop('SIGTERM')
  })
  const port = await freePort()
  const bucket = spawn(moto, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
  children.add(bucket)
  await eventually('the bucket server', async () => (await fetch(`http://127.0.0.1:${port}/moto-api/`)).ok)
  const made = await fetch(`http://127.0.0.1:${port}/pictures`, { method: 'PUT' })
  assert(made.ok, `making the bucket was answered with ${made.status}`)
  // The way to the bucket, which can be cut while the bucket keeps its files.
  const sockets = new Set()
  const way = createServer((socket) => {
    const onward = connect(port, '127.0.0.1')
    for (const end of [socket, onward]) {
      sockets.add(end)
      end.on('error', () => {})
      end.on('close', () => (sockets.delete(end), socket.destroy(), onward.destroy()))
    }
    socket.pipe(onward).pipe(socket)
  })
  const wayPort = await freePort()
  const open = () => new Promise((resolve) => way.listen(wayPort, '127.0.0.1', resolve))
  const cut = () => (way.close(), sockets.forEach((socket) => socket.destroy()))
  await open()
  const server = await start({
    FILE_PROCESSING_S3_ENDPOINT: `http://127.0.0.1:${wayPort}`,
    FILE_PROCESSING_S3_BUCKET: 'pictures',
    FILE_PROCESSING_S3_ACCESS_KEY: 'key',
    FILE_PROCESSING_S3_SECRET_KEY: 'hush-hush',
    FILE_PROCESSING_API_KEY: 'needed-for-removals',
  })
  await check('a bucket keeps originals, results and thumbnails', async () => {
    equal((await json(server, '/health')).body.dependencies.s3.bucket, 'pictures', 'the bucket')
    // More than one part.
    const large = bitmap(2500, 2000)
    const stored = await post(server, '/files', large, { fileId: 'large' })
    equal(stored.status, 201, 'the status')
    const back = Buffer.from(await (await fetch(stored.body.url)).arrayBuffer())
    assert(back.equals(large), 'the original differs')
    const { body } = await json(server, '/api/jobs', { fileId: 'large', filePath: stored.body.path })
    await eventually('the end', async () => (await json(server, `/api/jobs/${body.jobId}`)).body.job.status === 'completed')
    equal((await fetch(`${server.url}/thumbnails/large/100.jpeg`)).status, 200, 'a thumbnail')
    const headers = { authorization: 'AWS key:anything' }
    const key = await fetch(`http://127.0.0.1:${port}/pictures/thumbnails/large/100.jpeg`, { headers })
    equal(key.status, 200, 'the thumbnail in the bucket')
    const resized = await post(server, '/image/resize', bitmap(8, 8), { width: '4' })
    equal((await fetch(resized.body.url)).status, 200, 'a result')
    equal((await fetch(`${server.url}/files/large`, { method: 'DELETE', headers: { 'x-api-key': 'needed-for-removals' } })).status, 200, 'removing it')
    equal((await fetch(`${server.url}/thumbnails/large/100.jpeg`)).status, 404, 'its thumbnail')
  })
  await check('a bucket that goes away is named, and a job waits until it is back', async () => {
    await fetch(`http://127.0.0.1:${port}/pictures/uploads/late.bmp`, { method: 'PUT', body: bitmap(64, 64) })
    cut()
    await eventually('503', async () => (await fetch(`${server.url}/health`)).status === 503)
    const { body } = await json(server, '/health')
    assert(body.dependencies.s3.status === 'disconnected' && body.error.includes('pictures'), JSON.stringify(body))
    const refused = await post(server, '/image/resize', bitmap(8, 8), { width: '4' })
    equal(refused.status, 503, 'a request')
    const job = await json(server, '/api/jobs', { fileId: 'late', filePath: 'uploads/late.bmp' })
    equal(job.status, 201, 'a job')
    await pause(1500)
    equal((await json(server, `/api/jobs/${job.body.jobId}`)).body.job.status === 'failed', false, 'a failure')
    await open()
    await eventually('200', async () => (await fetch(`${server.url}/health`)).status === 200)
    await eventually('the end', async () => {
      const { status, error } = (await json(server, `/api/jobs/${job.body.jobId}`)).body.job
      return status === 'completed' || `${status} ${error}`
    })
    assert(!server.log().includes('hush-hush'), 'the secret is in the log')
  })
  await server.stop('SIGTERM')
  cut()
  bucket.kill('SIGKILL')
}

await kills()
await uploads()
await limits()
await hostile()
await storages()
await finish()
