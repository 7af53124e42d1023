// Talks to a running jobs server as its users' apps do: with the real bullmq on the same Redis, and over HTTP.
//
//   [BULLMQ=bullmq6] node jobs.mjs http://127.0.0.1:3105 redis://127.0.0.1:6379 [OWN_URL]
//
// BULLMQ is the package: bullmq (version 5) or bullmq6. OWN_URL is where the server finds itself, which is another address in a container: http://127.0.0.1:3105.
// Prints `ok …` or `not ok …: why` for each check and ends with `N passed, M failed`.
// Makes its own jobs and queues, so it can run again and again on one server.

import { randomUUID } from 'node:crypto'
import { PATIENCE, assert, check, equal, finish, sleep, within } from './checks.mjs'

const { FlowProducer, Queue, QueueEvents, Worker } = await import(process.env.BULLMQ ?? 'bullmq')

const [base, redisUrl, own = base] = process.argv.slice(2)
if (!base || !redisUrl) {
  console.error('usage: node jobs.mjs URL REDIS_URL [OWN_URL]')
  process.exit(2)
}

const address = new URL(redisUrl)
const connection = { host: address.hostname, port: Number(address.port || 6379), db: Number(address.pathname.slice(1) || 0), password: address.password || undefined, maxRetriesPerRequest: null }
const run = randomUUID().slice(0, 8)
const open = []
// Queues that this run made.
const names = []

within(300, () => Promise.allSettled(open.map((entry) => entry.close())))

async function until(what, test, patience = PATIENCE) {
  const end = Date.now() + patience
  for (;;) {
    const answer = await test()
    if (answer) return answer
    assert(Date.now() < end, `${what}: not so after ${patience} ms`)
    await sleep(20)
  }
}

// What pauses and removes takes the key.
const key = process.env.JOBS_API_KEY ? { 'x-api-key': process.env.JOBS_API_KEY } : {}

async function call(method, path, body) {
  const response = await fetch(base + path, {
    method,
    headers: { ...key, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  return { status: response.status, body: await response.json().catch(() => ({})) }
}

async function post(path, body) {
  const answer = await call('POST', path, body)
  assert(answer.status < 300, `POST ${path} answered ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer.body
}

const state = async (id) => (await call('GET', `/jobs/${encodeURIComponent(id)}`)).body.state

function keep(entry) {
  entry.on('error', () => {})
  open.push(entry)
  return entry
}

const queue = (name) => keep(new Queue(name, { connection }))
const queueDefault = queue('default')
const events = keep(new QueueEvents('default', { connection }))
await events.waitUntilReady()

// Being ready means being connected; what happens before the first read is missed.
let isReading = false
events.once('added', () => { isReading = true })
await until('events are read', async () => isReading || (await queueDefault.add('noop', {}), await sleep(50), isReading))

// The envelope that nself's clients write.
const envelope = (type, payload) => ({ type, payload, metadata: {}, tags: [run], createdAt: new Date().toISOString() })
const noop = (payload = {}, options = {}) => queueDefault.add('noop', envelope('noop', payload), options)

console.log('# a producer of npm, our worker')

await check('a job of an npm producer is run and its result comes back through QueueEvents', async () => {
  const job = await noop()
  equal(await job.waitUntilFinished(events, PATIENCE), { done: true }, 'the result')
  equal(await job.getState(), 'completed', 'the state')
})

await check('a bare payload is taken as well as an envelope', async () => {
  const job = await queueDefault.add('noop', { durationMs: 5 })
  equal(await job.waitUntilFinished(events, PATIENCE), { done: true }, 'the result')
})

await check('progress is told while a job runs', async () => {
  const seen = []
  const listen = ({ jobId, data }) => seen.push([jobId, data])
  events.on('progress', listen)
  const job = await noop({ durationMs: 300, steps: 3 })
  await job.waitUntilFinished(events, PATIENCE)
  await until('all steps were told', () => seen.length === 3)
  events.off('progress', listen)
  equal(seen, [[job.id, 33], [job.id, 66], [job.id, 100]], 'the progress')
})

await check('a delayed job comes when it is due', async () => {
  const job = await noop({}, { delay: 5_000 })
  equal(await job.getState(), 'delayed', 'the state')
  await job.waitUntilFinished(events, PATIENCE)
  const done = await queueDefault.getJob(job.id)
  const waited = done.processedOn - done.timestamp
  assert(waited >= 4_995, `it came after ${waited} ms`)
})

await check('a failing job is retried with exponential backoff and keeps its reason and stack traces', async () => {
  const began = Date.now()
  const job = await queueDefault.add(`failing-${run}`, {}, { attempts: 3, backoff: { type: 'exponential', delay: 100 } })
  await job.waitUntilFinished(events, PATIENCE).then(() => assert(false, 'it did not fail'), (error) => assert(error.message.includes('no processor for type'), error.message))
  assert(Date.now() - began >= 290, 'the retries did not wait')
  const done = await queueDefault.getJob(job.id)
  equal([done.attemptsMade, await done.isFailed(), done.stacktrace.length], [3, true, 3], 'attempts, failed, stack traces')
  assert(done.failedReason.includes('no processor'), done.failedReason)
})

await check('npm retries a failed job', async () => {
  const job = await queueDefault.add(`failing-${run}`, {}, { attempts: 1 })
  await job.waitUntilFinished(events, PATIENCE).catch(() => {})
  await (await queueDefault.getJob(job.id)).retry()
  await until('it failed again', async () => (await queueDefault.getJob(job.id)).attemptsMade === 2)
})

await check('jobs added in bulk all arrive', async () => {
  const jobs = await queueDefault.addBulk(Array.from({ length: 200 }, (_, number) => ({ name: 'noop', data: envelope('noop', { number }) })))
  await until('all are completed', async () => (await Promise.all(jobs.map((job) => job.isCompleted()))).every(Boolean))
})

await check('urgent jobs of an npm producer come first', async () => {
  const began = []
  const listen = ({ jobId }) => began.push(jobId)
  events.on('active', listen)
  await queueDefault.pause()
  const priorities = new Map()
  for (const priority of [20, 1, 10, 5, undefined]) priorities.set((await noop({}, { priority })).id, priority ?? 0)
  await queueDefault.resume()
  // Redis' own order: several run at a time, and each worker's clock is read before it asks for a job.
  const order = () => began.filter((id) => priorities.has(id)).map((id) => priorities.get(id))
  await until('all have begun', () => order().length === 5)
  events.off('active', listen)
  equal(order(), [0, 1, 5, 10, 20], 'the order')
})

await check('a pause by npm holds our worker, and a resume lets nothing get lost', async () => {
  await queueDefault.pause()
  await until('the pause is known', async () => (await call('GET', '/queues/default')).body.isPaused)
  await sleep(700)
  const first = await noop()
  const overHttp = (await post('/jobs', { type: 'noop', payload: {} })).jobId
  const second = await noop()
  await sleep(500)
  equal((await queueDefault.getJobCounts('paused', 'wait')), { paused: 3, wait: 0 }, 'the counts')
  equal((await call('GET', '/queues/default/stats')).body.paused, 3, 'the count over HTTP')
  await queueDefault.resume()
  await Promise.all([first, second].map((job) => job.waitUntilFinished(events, PATIENCE)))
  await until('the job over HTTP is done too', async () => await state(overHttp) === 'completed')
})

await check('a pause over HTTP is seen by npm, and npm resumes it', async () => {
  await post('/queues/default/pause')
  equal(await queueDefault.isPaused(), true, 'isPaused')
  const mine = await noop()
  const theirs = (await post('/jobs', { type: 'noop', payload: {} })).jobId
  equal((await queueDefault.getJobCounts('paused', 'wait')), { paused: 2, wait: 0 }, 'the counts')
  await queueDefault.resume()
  await mine.waitUntilFinished(events, PATIENCE)
  await until('the other is done too', async () => await state(theirs) === 'completed')
})

await check('an npm job scheduler is worked on again and again and ends at its limit', async () => {
  await queueDefault.upsertJobScheduler(`every-${run}`, { every: 200, limit: 3 }, { name: 'noop', data: envelope('noop', { run }) })
  const mine = async () => (await queueDefault.getJobs(['completed'], 0, 500)).filter((job) => job.id.startsWith(`repeat:every-${run}:`)).length
  await until('it came three times', async () => await mine() >= 3)
  await sleep(600)
  equal(await mine(), 3, 'the number of runs')
  await queueDefault.removeJobScheduler(`every-${run}`)
})

await check('an npm job scheduler with a cron pattern and a zone comes', async () => {
  await queueDefault.upsertJobScheduler(`cron-${run}`, { pattern: '* * * * * *', tz: 'Asia/Tokyo' }, { name: 'noop', data: { run } })
  await until('it came twice', async () => (await queueDefault.getJobs(['completed'], 0, 500)).filter((job) => job.id.startsWith(`repeat:cron-${run}:`)).length >= 2)
  assert(await queueDefault.removeJobScheduler(`cron-${run}`), 'it was not there')
})

// Version 6 has no repeat option any more.
if (typeof queueDefault.getRepeatableJobs === 'function') {
  await check('a legacy repeat option with a pattern, a zone and a limit is worked on', async () => {
    await queueDefault.add('noop', { legacy: run }, { repeat: { pattern: '* * * * * *', tz: 'Europe/Berlin', limit: 2 }, jobId: `legacy-${run}` })
    await until('it came twice', async () => (await queueDefault.getJobs(['completed'], 0, 500)).filter((job) => job.data.legacy === run).length >= 2)
    for (const entry of await queueDefault.getRepeatableJobs()) await queueDefault.removeRepeatableByKey(entry.key)
  })
}

await check('a flow runs its children first, and the parent after the last', async () => {
  const flows = keep(new FlowProducer({ connection }))
  const children = Array.from({ length: 3 }, (_, number) => ({ name: 'noop', queueName: number ? 'default' : 'low-priority', data: envelope('noop', { durationMs: 50 }) }))
  const { job, children: made } = await flows.add({ name: 'noop', queueName: 'default', data: envelope('noop', {}), children })
  await job.waitUntilFinished(events, PATIENCE)
  equal(Object.keys(await job.getChildrenValues()).length, 3, 'the number of values')
  const parent = await queueDefault.getJob(job.id)
  for (const child of made) {
    const done = await queue(child.job.queueName).getJob(child.job.id)
    assert(done.finishedOn <= parent.processedOn, 'the parent ran before a child had ended')
  }
})

await check('a job that is deduplicated is added once, and again after its time', async () => {
  const add = () => noop({}, { delay: 60_000, deduplication: { id: `once-${run}`, ttl: 2_000 } })
  const ids = [(await add()).id, (await add()).id, (await add()).id]
  equal(new Set(ids).size, 1, 'the number of jobs')
  await until('a new one is taken', async () => (await add()).id !== ids[0])
})

await check('a rate limit of npm holds our worker', async () => {
  const limited = `limited-${run}`
  const slow = queue(limited)
  await slow.setGlobalRateLimit(2, 1_000)
  await post('/jobs', { type: 'noop', payload: {}, queue: limited })
  const jobs = await slow.addBulk(Array.from({ length: 5 }, () => ({ name: 'noop', data: envelope('noop', {}) })))
  await until('all are completed', async () => (await Promise.all(jobs.map((job) => job.isCompleted()))).every(Boolean))
  const began = (await Promise.all(jobs.map((job) => slow.getJob(job.id)))).map((job) => job.processedOn).sort()
  assert(began[4] - began[0] >= 1_000, `five jobs began within ${began[4] - began[0]} ms`)
  names.push(limited)
})

await check('logs that a job wrote are read by npm', async () => {
  const job = await queueDefault.add('http-request', { url: `${own}/live` })
  const result = await job.waitUntilFinished(events, PATIENCE)
  equal([result.status, result.body.alive], [200, true], 'the result')
  assert((await queueDefault.getJobLogs(job.id)).logs[0].includes('200'), 'there is no log')
})

console.log('# HTTP, a worker of npm')

// A queue that this server has workers for would be shared between both.
const shared = `npm-${run}`
const workerOf = (name, processor, options = {}) => keep(new Worker(name, processor, { connection, ...options }))

await check('our events reach npm: waiting, active, completed', async () => {
  const seen = []
  for (const event of ['waiting', 'active', 'completed']) events.on(event, ({ jobId }) => seen.push(`${event} ${jobId}`))
  const { jobId } = await post('/schedule', { type: 'noop', payload: {}, options: { priority: 'high' } })
  await until('all were told', () => ['active', 'completed'].every((event) => seen.includes(`${event} ${jobId}`)))
})

await check('npm reads a job that came over HTTP, with its options', async () => {
  const { jobId } = await post('/jobs', { type: 'noop', payload: { a: 1 }, options: { delay: 60_000, attempts: 4, priority: 7, backoff: { type: 'fixed', delay: 9 } } })
  const job = await queueDefault.getJob(jobId)
  equal([job.name, job.data.payload, job.opts.attempts, job.opts.backoff, job.opts.priority], ['noop', { a: 1 }, 4, { type: 'fixed', delay: 9 }, 7], 'the job')
  equal(await job.getState(), 'delayed', 'the state')
  await job.promote()
  await until('it is completed', async () => await state(jobId) === 'completed')
})

await check('a worker of npm and ours share a queue, and each job is run once', async () => {
  const counts = new Map()
  const worker = workerOf(shared, async (job) => { counts.set(job.id, (counts.get(job.id) ?? 0) + 1); return 'npm' }, { concurrency: 5 })
  await worker.waitUntilReady()
  const ids = []
  for (let number = 0; number < 100; number += 1) ids.push((await post('/jobs', { type: 'noop', payload: { durationMs: 2 }, queue: shared })).jobId)
  await until('all are completed', async () => (await Promise.all(ids.map(state))).every((word) => word === 'completed'))
  const results = await Promise.all(ids.map(async (id) => (await call('GET', `/jobs/${id}`)).body.result))
  const byNpm = results.filter((result) => result === 'npm').length
  equal([byNpm, [...counts.values()].every((count) => count === 1)], [counts.size, true], 'what npm ran')
  await worker.close()
  names.push(shared)
})

await check('an npm worker that fails, reports progress and logs is seen over HTTP', async () => {
  await post(`/queues/${shared}/pause`)
  const { jobId } = await post('/jobs', { type: `odd-${run}`, payload: { x: 1 }, queue: shared, options: { attempts: 1 } })
  const client = queue(shared)
  const job = await client.getJob(jobId)
  await job.updateProgress({ step: 2 })
  await job.log('a row of npm')
  equal((await call('GET', `/progress/${jobId}`)).body.progress, { step: 2 }, 'the progress')
  equal((await call('GET', `/jobs/${jobId}/logs`)).body.logs, ['a row of npm'], 'the logs')
  equal((await call('DELETE', `/jobs/${jobId}`)).status, 200, 'the removal')
  equal(await client.getJob(jobId), undefined, 'the job')
  await post(`/queues/${shared}/resume`)
})

await check('a schedule made over HTTP is npm\'s job scheduler too', async () => {
  await post('/scheduled', { name: `http-${run}`, type: 'noop', schedule: '0 9 * * 1', payload: { p: 1 }, timezone: 'America/New_York' })
  const scheduler = await queueDefault.getJobScheduler(`http-${run}`)
  equal([scheduler.pattern, scheduler.tz, scheduler.name], ['0 9 * * 1', 'America/New_York', 'noop'], 'the scheduler')
  equal((await call('DELETE', `/scheduled/http-${run}`)).status, 200, 'the removal')
  equal(await queueDefault.getJobScheduler(`http-${run}`), undefined, 'the scheduler')
})

await check('a hundred requests at a time are all taken', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, () => call('POST', '/jobs', { type: 'noop', payload: {} })))
  equal(answers.filter(({ status }) => status === 201).length, 100, 'the number of accepted jobs')
  equal(new Set(answers.map(({ body }) => body.jobId)).size, 100, 'the number of ids')
})

await check('bad requests are refused with the fields or the reason', async () => {
  const none = await call('POST', '/schedule', { payload: {} })
  assert(none.status === 400 && none.body.details[0].field === 'type', JSON.stringify(none))
  const cron = await call('POST', '/schedule', { type: 't', payload: {}, schedule: 'invalid' })
  assert(cron.status === 400 && cron.body.reason, JSON.stringify(cron))
  equal((await call('GET', '/jobs/none')).status, 404, 'the status')
})

await check('health answers ten requests at once', async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => call('GET', '/health')))
  for (const { body } of answers) equal([body.status, body.service, body.dependencies.redis.status, Array.isArray(body.queues)], ['healthy', 'jobs', 'connected', true], 'health')
})

await check('npm sees our workers', async () => {
  const workers = await queueDefault.getWorkers()
  assert(workers.some((worker) => String(worker.rawname ?? worker.name).includes('nself-jobs')), JSON.stringify(workers))
})

await finish()
