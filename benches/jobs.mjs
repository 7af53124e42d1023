#!/usr/bin/env node
// Measures the jobs plugin: `node benches/jobs.mjs [PROGRAM]`, by default target/release/jobs.
//
// Starts a redis-server (Debian's, in redis-tools) and the server on free ports, adds jobs with the real bullmq of
// tests/clients and over HTTP, and prints a table. Nothing else should run on the machine meanwhile.

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { Queue } = createRequire(join(root, 'tests/clients/'))('bullmq')
const program = process.argv[2] ?? join(root, 'target/release/jobs')
const folder = mkdtempSync(join(tmpdir(), 'jobs-bench-'))
symlinkSync('/usr/bin/redis-check-rdb', join(folder, 'redis-server'))
const children = []
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})

function start(command, args, env = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore' })
  children.push(child)
  return child
}

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

const [redisPort, port, dashboardPort] = [await freePort(), await freePort(), await freePort()]
start(join(folder, 'redis-server'), ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'yes', '--dir', folder])
const connection = { host: '127.0.0.1', port: redisPort, maxRetriesPerRequest: null }
const base = `http://127.0.0.1:${port}`
const ticks = Number(execFileSync('getconf', ['CLK_TCK']))

async function serve(settings) {
  const server = start(program, [], {
    MALLOC_ARENA_MAX: '1', JOBS_REDIS_URL: `redis://127.0.0.1:${redisPort}/0`, JOBS_PORT: String(port), JOBS_DASHBOARD_PORT: String(dashboardPort),
    JOBS_MAX_JOBS_PER_QUEUE: '1000000', LOG_LEVEL: 'warn', ...settings,
  })
  while (!(await fetch(`${base}/ready`).catch(() => ({}))).ok) await sleep(20)
  return server
}

async function stop(server) {
  server.kill('SIGTERM')
  await new Promise((resolve) => server.once('exit', resolve))
}

const status = (server, field) => Number(readFileSync(`/proc/${server.pid}/status`, 'utf8').match(new RegExp(`${field}:\\s+(\\d+)`))[1]) / 1024
function cpuSeconds(server) {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticks
}

const rows = []
const note = (what, seen) => { rows.push([what, seen]); console.error(`${what}: ${seen}`) }

async function timed(count, add) {
  const took = []
  for (let number = -50; number < count; number += 1) {
    const began = performance.now()
    await add(number)
    if (number >= 0) took.push(performance.now() - began)
  }
  took.sort((a, b) => a - b)
  const at = (share) => took[Math.min(took.length - 1, Math.floor(share * took.length))].toFixed(2)
  return `p50 ${at(0.5)}, p99 ${at(0.99)} ms (${count} one after another)`
}

async function drained(queue) {
  for (;;) {
    const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'prioritized', 'paused')
    if (Object.values(counts).every((count) => count === 0)) return
    await sleep(5)
  }
}

const queue = new Queue('default', { connection })
queue.on('error', () => {})
await queue.waitUntilReady()
const post = (body) => fetch(`${base}/jobs`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }).then((response) => response.json())

// Idle, on empty queues.
let server = await serve({})
await sleep(3_000)
const before = cpuSeconds(server)
await sleep(20_000)
note('Idle: CPU, memory', `${((cpuSeconds(server) - before) * 5).toFixed(2)} % of one core, ${status(server, 'VmRSS').toFixed(1)} MB`)

// Adding, while our workers run what is added.
note('Adding with npm bullmq', await timed(2_000, () => queue.add('noop', {})))
note('Adding over HTTP', await timed(2_000, () => post({ type: 'noop', payload: {} })))
await drained(queue)
await stop(server)

// Draining: everything is there before the workers are.
for (const concurrency of [1, 5]) {
  const total = 10_000
  for (let done = 0; done < total; done += 1_000) await queue.addBulk(Array.from({ length: 1_000 }, () => ({ name: 'noop', data: {} })))
  const began = performance.now()
  server = await serve({ JOBS_CONCURRENCY: String(concurrency) })
  await drained(queue)
  note(`Draining ${total} no-op jobs, ${concurrency} at a time`, `${Math.round(total / ((performance.now() - began) / 1000))} jobs a second`)
  if (concurrency === 1) await stop(server)
}

// Jobs of one second, five at a time.
const seconds = await queue.addBulk(Array.from({ length: 50 }, () => ({ name: 'noop', data: { durationMs: 1_000 } })))
const began = performance.now()
await drained(queue)
const took = (performance.now() - began) / 1000
note('Jobs of one second, 5 at a time', `${Math.round(seconds.length / (took / 60))} a minute (${took.toFixed(1)} s for ${seconds.length})`)
note('Highest memory over all of it', `${status(server, 'VmHWM').toFixed(1)} MB`)
await stop(server)

const width = Math.max(...rows.map(([what]) => what.length))
console.log(`\n${cpus().length} cores, ${cpus()[0].model}`)
for (const [what, seen] of rows) console.log(`${what.padEnd(width)}  ${seen}`)
await queue.close()
process.exit(0)
