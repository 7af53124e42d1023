// Sends small files that were made to occupy much memory to a running file-processing server, several at a time, and
// watches its health meanwhile.
//
//   node file-processing-hostile.mjs http://127.0.0.1:3104
//
// Every file has at most 1 MB. Prints `ok …` or `not ok …: why` for each check and ends with `N passed, M failed`. Whether
// the server was killed and restarted its container tells.

import { deflateSync } from 'node:zlib'
import { assert, check, finish, sleep, within } from './checks.mjs'

const [base] = process.argv.slice(2)
if (!base) {
  console.error('usage: node file-processing-hostile.mjs URL')
  process.exit(2)
}
within(280)

const MOST_BYTES = 1_000_000
const AT_ONCE = 8
const key = process.env.FILE_PROCESSING_API_KEY
const headers = key ? { 'x-api-key': key } : {}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1))
  return crc
})
const crc32 = (bytes) => ~bytes.reduce((crc, byte) => (crc >>> 8) ^ table[(crc ^ byte) & 255], ~0) >>> 0

function pngChunk(kind, data) {
  const body = Buffer.concat([Buffer.from(kind), data])
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(data.length)
  body.copy(chunk, 4)
  chunk.writeUInt32BE(crc32(body), body.length + 4)
  return chunk
}

function png(...chunks) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(64, 0)
  header.writeUInt32BE(48, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const pixels = pngChunk('IDAT', deflateSync(Buffer.alloc((64 * 3 + 1) * 48)))
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, pngChunk('IHDR', header), ...chunks, pixels, pngChunk('IEND', Buffer.alloc(0))])
}

const zeros = (mebibytes) => deflateSync(Buffer.alloc(mebibytes << 20), { level: 9 })

// A directory of EXIF whose many entries all name the same bytes.
function exif() {
  const count = 65_535
  const bytes = Buffer.alloc(8 + 2 + count * 12 + 4)
  bytes.write('II*\0\x08\0\0\0', 'latin1')
  bytes.writeUInt16LE(count, 8)
  for (let entry = 0; entry < count; entry += 1) {
    const at = 10 + entry * 12
    bytes.writeUInt16LE(0x9000 + (entry % 256), at)
    bytes.writeUInt16LE(2, at + 2)
    bytes.writeUInt32LE(700_000, at + 4)
    bytes.writeUInt32LE(8, at + 8)
  }
  return bytes
}

// A picture of one pixel whose first frame has a hundred million.
const gif = Buffer.from(
  '474946383961010001008000000000' + '00ffffff' + '2c00000000' + '10271027' + '000202' + '4c01' + '003b',
  'hex',
)

// Lists of a TIFF as long as the file.
function tiff() {
  const bytes = Buffer.alloc(900_000)
  const entries = [[256, 4, 1, 64], [257, 4, 1, 48], [258, 1, 800_000, 1000], [259, 3, 1, 1], [262, 3, 1, 2], [273, 1, 800_000, 1000], [277, 3, 1, 3], [279, 1, 800_000, 1000]]
  bytes.write('II*\0\x08\0\0\0', 'latin1')
  bytes.writeUInt16LE(entries.length, 8)
  entries.forEach(([tag, kind, count, value], index) => {
    bytes.writeUInt16LE(tag, 10 + index * 12)
    bytes.writeUInt16LE(kind, 12 + index * 12)
    bytes.writeUInt32LE(count, 14 + index * 12)
    bytes.writeUInt32LE(value, 18 + index * 12)
  })
  return bytes
}

// A lossless WebP of one pixel with very many code tables of four kilobytes, each of which takes a dozen bytes.
function webp() {
  const bits = []
  const put = (value, count) => {
    for (let bit = 0; bit < count; bit += 1) bits.push((value >> bit) & 1)
  }
  const groups = 15_000
  put(0x2f, 8)
  put(0, 14 + 14 + 1 + 3)
  put(0, 2) // no transform, no colour cache
  put(1, 1) // groups of codes, chosen by a picture of one pixel
  put(0, 3)
  put(0, 1)
  const single = (symbol) => (put(0b101, 3), put(symbol, 8))
  single((groups - 1) & 255)
  single((groups - 1) >> 8)
  for (let code = 0; code < 3; code += 1) single(0)
  // Lengths 1 to 9, 10 and 10: a whole code whose table has 1,024 entries.
  const lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10]
  const order = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10]
  const lengthOf = (symbol) => (symbol < 1 || symbol > 10 ? 0 : symbol <= 6 ? 3 : 4)
  const codeOf = (symbol) => (symbol <= 6 ? symbol - 1 : 12 + symbol - 7)
  for (let code = 0; code < groups * 5; code += 1) {
    put(0, 1)
    put(order.length - 4, 4)
    for (const symbol of order) put(lengthOf(symbol), 3)
    put(1, 1)
    put(1, 3)
    put(lengths.length - 2, 4)
    for (const length of lengths) {
      for (let bit = lengthOf(length) - 1; bit >= 0; bit -= 1) bits.push((codeOf(length) >> bit) & 1)
    }
  }
  put(0, 64)
  const data = Buffer.alloc(Math.ceil(bits.length / 16) * 2)
  bits.forEach((bit, at) => (data[at >> 3] |= bit << (at & 7)))
  const head = Buffer.from('RIFF\0\0\0\0WEBPVP8L\0\0\0\0', 'latin1')
  head.writeUInt32LE(data.length + 12, 4)
  head.writeUInt32LE(data.length, 16)
  return Buffer.concat([head, data])
}

function jpeg() {
  const segments = [Buffer.from([0xff, 0xd8])]
  for (let number = 1; number <= 14; number += 1) {
    const head = Buffer.concat([Buffer.from([0xff, 0xe2, 0xff, 0xff]), Buffer.from('ICC_PROFILE\0'), Buffer.from([number, 14])])
    segments.push(Buffer.concat([head, Buffer.alloc(65_535 - 16)]))
  }
  segments.push(Buffer.from([0xff, 0xd9]))
  return Buffer.concat(segments)
}

const huge = zeros(900)
const icc = (mebibytes) => png(pngChunk('iCCP', Buffer.concat([Buffer.from('icc\0\0'), zeros(mebibytes)])))
const FILES = {
  'a profile of 256 MiB': icc(256),
  'a profile of 900 MiB': png(pngChunk('iCCP', Buffer.concat([Buffer.from('icc\0\0'), huge]))),
  'a profile just within the limit': icc(4),
  'a text of 900 MiB': png(pngChunk('zTXt', Buffer.concat([Buffer.from('Comment\0\0'), huge]))),
  'an international text of 900 MiB': png(pngChunk('iTXt', Buffer.concat([Buffer.from('Comment\0\x01\0\0\0'), huge]))),
  'pixels of 900 MiB': png(pngChunk('IDAT', huge)),
  'EXIF that names the same bytes again and again': png(pngChunk('eXIf', exif())),
  'a frame much larger than its canvas': gif,
  'lists as long as a TIFF': tiff(),
  'code tables without end': webp(),
  'a JPEG that is all profile': jpeg(),
}

async function post(path, bytes) {
  const form = new FormData()
  form.set('file', new Blob([bytes]), 'picture')
  form.set('width', '32')
  const answer = await fetch(base + path, { method: 'POST', body: form, headers })
  await answer.arrayBuffer()
  return answer.status
}

const health = async () => {
  const began = Date.now()
  const answer = await fetch(`${base}/health`)
  await answer.arrayBuffer()
  assert(answer.status === 200, `health answered ${answer.status}`)
  return Date.now() - began
}

// A machine that is busy with much else answers later by itself.
const usual = Math.max(...(await Promise.all([...Array(5)].map(health))))
const longest = 1_000 + usual * 5

for (const [name, bytes] of Object.entries(FILES)) {
  await check(`${name}: answered, and health beside it`, async () => {
    assert(bytes.length <= MOST_BYTES, `it has ${bytes.length} bytes`)
    let isDone = false
    const watching = (async () => {
      let slowest = 0
      while (!isDone) {
        slowest = Math.max(slowest, await health())
        await sleep(50)
      }
      return slowest
    })()
    const paths = ['/image/resize', '/image/info', '/image/strip-metadata', '/image/convert?format=png']
    try {
      const statuses = await Promise.all([...Array(AT_ONCE)].map((_, number) => post(paths[number % paths.length], bytes)))
      for (const status of statuses) assert([200, 400, 413, 422, 503, 504].includes(status), `a request was answered with ${status}`)
    } finally {
      isDone = true
    }
    const slowest = await watching
    assert(slowest <= longest, `health took ${slowest} ms`)
  })
}

await finish()
