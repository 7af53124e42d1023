#!/usr/bin/env node
// Measures the realtime plugin with 10,000 sockets, each with a token of its own, in a room of ten, answering heartbeats:
//
//   node benches/realtime.mjs [PROGRAM]          a server of its own; by default target/release/realtime
//   node benches/realtime.mjs --redis [PROGRAM]  the same with a redis-server (Debian's, in redis-tools) and a second
//                                                instance without sockets, which hears of all of them
//   REALTIME_JWT_SECRET=… node benches/realtime.mjs --container NAME
//
// The last one measures a running container from inside its network (it enters that with nsenter, as root), past
// Docker's proxy. SOCKETS and SECONDS change the numbers. Nothing else should run on the machine meanwhile. Needs the
// modules of tests/clients and a limit of open files above SOCKETS (ulimit -n).

import { execFileSync, fork, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
// One clock for all processes of the machine.
const now = () => Number(process.hrtime.bigint()) / 1e6
const ROOM = 10
const GENERATORS = 2

if (process.env.REALTIME_BENCH_PART !== undefined) generate()
else await measure()

// ---- one of the processes that hold sockets ----

function generate() {
  const { WebSocket } = createRequire(join(root, 'tests/clients/node_modules/engine.io-client/'))('ws')
  const [part, url, secret] = [Number(process.env.REALTIME_BENCH_PART), process.env.REALTIME_BENCH_URL, process.env.REALTIME_JWT_SECRET]
  const sockets = []
  let [joined, lost, sent, beats] = [0, 0, 0, 0]
  let times = []
  let timer

  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = encode({ alg: 'HS256', typ: 'JWT' })
  function token(user) {
    const message = `${header}.${encode({ sub: user, exp: Math.floor(Date.now() / 1000) + 3600 })}`
    return `${message}.${createHmac('sha256', secret).update(message).digest('base64url')}`
  }

  function open(index) {
    const socket = new WebSocket(`${url}/socket.io/?EIO=4&transport=websocket`, { perMessageDeflate: false })
    return new Promise((resolve) => {
      const gone = () => ((lost += 1), resolve())
      socket.on('error', () => {})
      socket.on('close', gone)
      socket.on('message', (data) => {
        const text = data.toString()
        if (text === '2') {
          beats += 1
          socket.send('3')
        } else if (text.startsWith('42["message:new"')) {
          const began = /"content":"(\d+\.?\d*)"/.exec(text)
          if (began) times.push(now() - Number(began[1]))
        } else if (text[0] === '0') socket.send(`40${JSON.stringify({ token: token(`user-${index}`) })}`)
        else if (text.startsWith('40')) socket.send(`421["room:join",{"roomName":"room-${Math.floor(index / ROOM)}"}]`)
        else if (text.startsWith('431')) {
          joined += 1
          sockets.push({ socket, index })
          resolve()
        }
      })
    })
  }

  function send() {
    const { socket, index } = sockets[Math.floor(Math.random() * sockets.length)]
    sent += 1
    socket.send(`42["message:send",{"roomName":"room-${Math.floor(index / ROOM)}","content":"${now()}"}]`)
  }

  const commands = {
    async connect({ from, to }) {
      const indices = []
      for (let index = from; index < to; index += 1) if (index % GENERATORS === part) indices.push(index)
      await Promise.all(indices.map(open))
      return { joined, lost }
    },
    // Open loop: what is late is not waited for.
    async load({ rate, seconds }) {
      ;[sent, times] = [0, []]
      const began = now()
      await new Promise((resolve) => {
        timer = setInterval(() => {
          const due = Math.min(Math.floor(((now() - began) / 1000) * rate), rate * seconds)
          while (sent < due) send()
          if (sent >= rate * seconds) resolve(clearInterval(timer))
        }, 2)
      })
      await sleep(2000)
      return { sent, times }
    },
    async count() {
      return { joined, lost, beats }
    },
  }
  process.on('message', async ({ command, ...words }) => process.send(await commands[command](words)))
}

// ---- the process that measures ----

async function measure() {
  const count = Number(process.env.SOCKETS ?? 10_000)
  const seconds = Number(process.env.SECONDS ?? 60)
  const words = process.argv.slice(2)
  const children = []
  const folder = mkdtempSync(join(tmpdir(), 'realtime-bench-'))
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  const server = words[0] === '--container' ? inContainer(words[1]) : await ofOwn(words, folder, children, count)
  const generators = Array.from({ length: GENERATORS }, (_, part) => {
    const env = { ...process.env, REALTIME_BENCH_PART: String(part), REALTIME_BENCH_URL: server.url, REALTIME_JWT_SECRET: server.secret }
    const [command, ...before] = [...server.enter, process.execPath]
    const child = server.enter.length
      ? spawn(command, [...before, script], { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
      : fork(script, { env })
    children.push(child)
    return child
  })
  const all = (command, more = {}) =>
    Promise.all(generators.map((child) => new Promise((resolve) => {
      child.once('message', resolve)
      child.send({ command, ...more })
    })))
  const sum = (answers, field) => answers.reduce((total, answer) => total + answer[field], 0)

  const rows = [['idle', `${server.memory().now} MB`]]
  let began = now()
  for (let from = 0; from < count; from += 200) {
    await all('connect', { from, to: Math.min(from + 200, count) })
    if (from < 1000 && from + 200 >= 1000) rows.push(['memory with 1,000 sockets', `${server.memory().now} MB`])
  }
  const joined = sum(await all('count'), 'joined')
  rows.push([`${joined} sockets connected, known and in rooms`, `${((now() - began) / 1000).toFixed(1)} s`])
  await sleep(3000)
  rows.push([`memory with ${joined} sockets`, `${server.memory().now} MB`])
  began = now()
  for (const rate of [20, 1000]) {
    const ticks = server.ticks()
    const start = now()
    const answers = await all('load', { rate: rate / GENERATORS, seconds: 20 })
    const cores = (server.ticks() - ticks) / ((now() - start) / 1000)
    const times = answers.flatMap((answer) => answer.times).sort((left, right) => left - right)
    const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))]?.toFixed(1)
    const [sent, wanted] = [sum(answers, 'sent'), sum(answers, 'sent') * (ROOM - 1)]
    rows.push([`${rate} messages/s: sender to receiver`, `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms`])
    rows.push([`${rate} messages/s: deliveries`, `${times.length} of ${wanted} (${sent} sent), ${cores.toFixed(2)} core`])
  }
  await sleep(Math.max(0, seconds * 1000 - (now() - began)))
  const counted = await all('count')
  rows.push([`lost of ${joined} in ${((now() - began) / 1000).toFixed(0)} s (${sum(counted, 'beats')} heartbeats)`, String(sum(counted, 'lost'))])
  const memory = server.memory()
  rows.push(['highest memory (VmHWM)', `${memory.highest} MB`])
  if (server.peer) rows.push(['highest memory of the instance without sockets', `${server.peer.memory().highest} MB`])
  if (server.enter.length) rows.push(['highest of its cgroup', memory.cgroup])
  console.log(`${cpus().length} cores (${cpus()[0].model}), ${Math.round(totalmem() / 2 ** 30)} GB, load ${loadavg()[0].toFixed(1)}; ${server.what}`)
  for (const [what, seen] of rows) console.log(`| ${what.padEnd(52)} | ${seen} |`)
  process.exit(0)
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

async function ofOwn(words, folder, children, count) {
  const withRedis = words[0] === '--redis'
  const program = words[withRedis ? 1 : 0] ?? join(root, 'target/release/realtime')
  const [port, redisPort] = [await freePort(), await freePort()]
  const secret = 'the secret of a server that is measured'
  const env = { MALLOC_ARENA_MAX: '1', REALTIME_PORT: String(port), REALTIME_JWT_SECRET: secret, REALTIME_MAX_CONNECTIONS: String(count), LOG_LEVEL: 'warn' }
  if (withRedis) {
    symlinkSync('/usr/bin/redis-check-rdb', join(folder, 'redis-server'))
    children.push(spawn(join(folder, 'redis-server'), ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', folder], { stdio: 'ignore' }))
    env.REALTIME_REDIS_URL = `redis://127.0.0.1:${redisPort}/0`
    await sleep(300)
  }
  const child = spawn(program, [], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  children.push(child)
  let peer
  if (withRedis) {
    const beside = { ...env, REALTIME_PORT: String(await freePort()) }
    peer = spawn(program, [], { env: beside, stdio: ['ignore', 'ignore', 'inherit'] })
    children.push(peer)
  }
  while (!(await fetch(`http://127.0.0.1:${port}/ready`).catch(() => ({}))).ok) await sleep(20)
  return { ...watched(child.pid), url: `ws://127.0.0.1:${port}`, secret, enter: [], peer: peer && watched(peer.pid), what: withRedis ? 'two instances over Redis' : 'one instance without Redis' }
}

function inContainer(name) {
  const pid = Number(execFileSync('docker', ['inspect', '-f', '{{.State.Pid}}', name], { encoding: 'utf8' }))
  const secret = process.env.REALTIME_JWT_SECRET
  if (!secret) throw new Error('REALTIME_JWT_SECRET must be the secret of the container')
  const enter = ['nsenter', '-t', String(pid), '-n']
  return { ...watched(pid), url: 'ws://127.0.0.1:3101', secret, enter, what: `container ${name}` }
}

function watched(pid) {
  const field = (name) => {
    const found = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Math.round(Number(found[1]) / 1024)
  }
  const perSecond = Number(execFileSync('getconf', ['CLK_TCK']))
  return {
    memory: () => ({ now: field('VmRSS'), highest: field('VmHWM'), cgroup: highestOfCgroup(pid) }),
    ticks() {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
      return (Number(fields[11]) + Number(fields[12])) / perSecond
    },
  }
}

function highestOfCgroup(pid) {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n').map((line) => line.split(':'))
  const candidates = lines.map(([, controllers, path]) =>
    controllers === '' ? `/sys/fs/cgroup${path}/memory.peak` : controllers === 'memory' ? `/sys/fs/cgroup/memory${path}/memory.max_usage_in_bytes` : '')
  const file = candidates.find((candidate) => candidate && existsSync(candidate))
  return file ? `${Math.round(Number(readFileSync(file, 'utf8')) / 2 ** 20)} MB` : 'not readable here'
}
