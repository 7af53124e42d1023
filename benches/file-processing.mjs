// How many 12-megapixel photographs a minute the file-processing server resizes and makes thumbnails of, one after the
// other and five at a time, and how much memory it takes at most. Starts the server itself, over a temporary folder.
//
//   node benches/file-processing.mjs [PROGRAM] [COUNT]     (default target/release/file-processing, 50 images)
//
// The images are distinct JPEGs of 4000 × 3000 pixels with gradients, edges and noise, made before anything is timed.
// The table goes to standard output. Nothing else should run on the machine; /proc tells memory and processor time.

import { spawn, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'

const program = process.argv[2] ?? 'target/release/file-processing'
const count = Number(process.argv[3] ?? 50)
const [width, height] = [4000, 3000]
const port = 20_000 + (process.pid % 20_000)
const url = `http://127.0.0.1:${port}`
const folder = mkdtempSync(join(tmpdir(), 'file-processing-bench-'))
const server = spawn(program, [], {
  env: {
    FILE_PROCESSING_PORT: String(port), FILE_PROCESSING_DATA_DIR: folder, LOG_LEVEL: 'warn',
    // As in the image.
    MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '1048576', MALLOC_TRIM_THRESHOLD_: '1048576',
  },
  stdio: 'inherit',
})
process.on('exit', () => {
  server.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

async function post(path, bytes, fields = {}) {
  const form = new FormData()
  form.set('file', new Blob([bytes]), 'photo.jpg')
  for (const [field, value] of Object.entries(fields)) form.set(field, value)
  const answer = await fetch(url + path, { method: 'POST', body: form })
  const body = await answer.json()
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${JSON.stringify(body)}`)
  return body
}

// Noise over moving colours: compresses like a photograph, to some megabytes.
async function photograph(number) {
  const bytes = Buffer.alloc(54 + width * height * 3)
  bytes.write('BM')
  for (const [value, at] of [[bytes.length, 2], [54, 10], [40, 14], [width, 18], [height, 22]]) bytes.writeUInt32LE(value, at)
  bytes.writeUInt16LE(1, 26)
  bytes.writeUInt16LE(24, 28)
  let random = 12_345 + number * 7919
  for (let y = 0, at = 54; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 3) {
      random = (Math.imul(random, 1_664_525) + 1_013_904_223) | 0
      const noise = (random >>> 27) - 16
      const edge = ((x >> 7) + (y >> 7) + number) & 3 ? 0 : 40
      bytes[at] = (((x + number * 37) >> 4) & 127) + 40 + noise + edge
      bytes[at + 1] = ((y >> 4) & 127) + 40 + noise
      bytes[at + 2] = (((x + y) >> 5) & 127) + 60 + noise + edge
    }
  }
  const { url: made } = await post('/image/convert', bytes, { format: 'jpeg', quality: '88' })
  return Buffer.from(await (await fetch(made)).arrayBuffer())
}

const status = (field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) / 1024

function processorSeconds() {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

async function measure(name, parallel, one) {
  writeFileSync(`/proc/${server.pid}/clear_refs`, '5')
  const [processor, began, times] = [processorSeconds(), performance.now(), []]
  let next = 0
  const worker = async () => {
    while (next < count) {
      const number = next
      next += 1
      const from = performance.now()
      await one(number)
      times.push(performance.now() - from)
    }
  }
  await Promise.all([...Array(parallel)].map(worker))
  const seconds = (performance.now() - began) / 1000
  times.sort((a, b) => a - b)
  const at = (share) => `${Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))])} ms`
  const used = (processorSeconds() - processor) / count
  const cells = [name, parallel, Math.round((count / seconds) * 60), at(0.5), at(0.95), `${used.toFixed(2)} s`, `${Math.round(status('VmHWM'))} MiB`]
  console.log(`| ${cells.join(' | ')} |`)
}

async function job(fileId, filePath) {
  const order = { fileId, filePath, operations: ['thumbnail'] }
  const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(order) }
  const { jobId } = await (await fetch(`${url}/api/jobs`, options)).json()
  for (;;) {
    const { job } = await (await fetch(`${url}/api/jobs/${jobId}`)).json()
    if (job.status === 'completed') return
    if (job.status === 'failed') throw new Error(job.error)
    await pause(5)
  }
}

for (let tries = 0; ; tries += 1) {
  if ((await fetch(`${url}/live`).catch(() => ({}))).ok) break
  if (tries > 100) throw new Error(`${program} did not start`)
  await pause(100)
}
const photographs = []
for (let number = 0; number < count; number += 1) photographs.push(await photograph(number))
const paths = []
for (const [number, bytes] of photographs.entries()) paths.push((await post('/files', bytes, { fileId: `photo-${number}` })).path)
const mean = photographs.reduce((sum, bytes) => sum + bytes.length, 0) / count / 1e6
console.log(`${count} JPEGs of ${width} × ${height}, ${mean.toFixed(1)} MB each on average; ${cpus().length} processors (${cpus()[0].model.trim()}),`)
console.log(`load ${execFileSync('cut', ['-d', ' ', '-f', '1', '/proc/loadavg']).toString().trim()} at the start; idle server ${Math.round(status('VmRSS'))} MiB\n`)
console.log('| Operation | At a time | Images a minute | p50 | p95 | Processor time an image | Peak memory |')
console.log('|---|---|---|---|---|---|---|')
const resize = (number) => post('/image/resize', photographs[number], { width: '1200' })
const thumbnails = (number) => job(`photo-${number}`, paths[number])
const optimize = (number) => post('/image/optimize', photographs[number])
await resize(0)
await measure('resize to 1200 wide, with upload', 1, resize)
await measure('resize to 1200 wide, with upload', 5, resize)
await measure('job: thumbnails 100, 400, 1200', 1, thumbnails)
await measure('job: thumbnails 100, 400, 1200', 5, thumbnails)
await measure('optimize at full size, progressive', 5, optimize)
await measure('strip-metadata, no new pixels', 5, (number) => post('/image/strip-metadata', photographs[number]))
process.exit(0)
