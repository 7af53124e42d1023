#!/usr/bin/env node
// Measures many sockets that join one room one after another: bytes that all of them receive, and seconds.
//
//   node benches/realtime-joins.mjs [PROGRAM]     by default target/release/realtime
//
// SOCKETS (10,000) changes the number. Bar: 2 KB a socket and 5 s. Needs the modules of tests/clients and a limit of open
// files above twice SOCKETS (ulimit -n).

import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { WebSocket } = createRequire(join(root, 'tests/clients/node_modules/engine.io-client/'))('ws')
const count = Number(process.env.SOCKETS ?? 10_000)
const program = process.argv[2] ?? join(root, 'target/release/realtime')
const secret = 'the secret of this measurement, 32 bytes'
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const port = await new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})
const env = { REALTIME_PORT: String(port), REALTIME_HOST: '127.0.0.1', REALTIME_JWT_SECRET: secret, REALTIME_MAX_CONNECTIONS: String(count + 10), LOG_LEVEL: 'warn' }
const server = spawn(program, [], { env, stdio: ['ignore', 'inherit', 'inherit'] })
process.on('exit', () => server.kill('SIGKILL'))
for (;;) {
  if (await fetch(`http://127.0.0.1:${port}/live`).then((answer) => answer.ok, () => false)) break
  await sleep(50)
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
function token(user) {
  const message = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: user, exp: Math.floor(Date.now() / 1000) + 3600 })}`
  return `${message}.${createHmac('sha256', secret).update(message).digest('base64url')}`
}

let [bytes, joined, lost] = [0, 0, 0]
const waiting = new Map()

// Opens a socket that is greeted, but in no room yet.
function open(index) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, { perMessageDeflate: false })
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => (lost += 1))
    socket.on('message', (data) => {
      bytes += data.length
      const head = data.subarray(0, 24).toString()
      if (head === '2') socket.send('3')
      else if (head[0] === '0') socket.send(`40${JSON.stringify({ token: token(`user-${index}`), vocabulary: 'rooms' })}`)
      else if (head.startsWith('42["authenticated"')) resolve(socket)
      else if (head.startsWith('431')) {
        joined += 1
        waiting.get(socket)?.()
      }
    })
  })
}

const sockets = []
for (let from = 0; from < count; from += 200) {
  const part = Array.from({ length: Math.min(200, count - from) }, (_, index) => open(from + index))
  sockets.push(...(await Promise.all(part)))
}
bytes = 0
const began = performance.now()
for (const socket of sockets) {
  const answered = new Promise((resolve) => waiting.set(socket, resolve))
  socket.send('421["room:join",{"roomName":"one"}]')
  await answered
}
const seconds = (performance.now() - began) / 1000
await sleep(3_000)
console.log(JSON.stringify({ sockets: count, joined, lost, seconds: +seconds.toFixed(2), bytesPerSocket: Math.round(bytes / count), megabytes: +(bytes / 1e6).toFixed(1), load: loadavg()[0] }))
process.exit(0)
