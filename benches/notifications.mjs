// The load of benches/notifications.sh: `node notifications.mjs URL FILE`, FILE being what the mail server writes.

import { readFileSync } from 'node:fs'

const [url, file] = process.argv.slice(2)
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const run = Date.now().toString(36)

async function send(user, more) {
  const body = JSON.stringify({ userId: user, channels: ['email'], email: `${user}@b.example`, title: `For ${user}`, body: 'A few words.', ...more })
  const began = performance.now()
  const response = await fetch(`${url}/send`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status} ${text}`)
  return performance.now() - began
}

function arrived(prefix) {
  let text = ''
  try {
    text = readFileSync(file, 'utf8')
  } catch {}
  const complete = text.slice(0, text.lastIndexOf('\n') + 1)
  const recipients = complete.split('\n').filter(Boolean).map((line) => JSON.parse(line).recipients[0])
  return recipients.filter((recipient) => recipient.startsWith(prefix))
}

async function untilArrived(prefix, count, limit) {
  const began = performance.now()
  while (arrived(prefix).length < count && performance.now() - began < limit) await sleep(50)
  const all = arrived(prefix)
  return { all: all.length, distinct: new Set(all).size }
}

function percentile(times, share) {
  const sorted = [...times].sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

const row = (what, value) => console.log(`${what.padEnd(58)} ${value}`)

// Warm: the first requests pay for what is made once.
for (let number = 0; number < 20; number += 1) await send(`${run}-warm${number}`)
await untilArrived(`${run}-warm`, 20, 10_000)

// 1. 200 over a minute.
const paced = []
for (let number = 0; number < 200; number += 1) {
  paced.push(send(`${run}-paced${number}`))
  await sleep(300)
}
await Promise.all(paced)
const minute = await untilArrived(`${run}-paced`, 200, 10_000)
row('200 e-mails over a minute: arrived, distinct', `${minute.all}, ${minute.distinct}`)

// 2. As fast as it can: 50 askers, 3,000 e-mails.
const total = 3000
let next = 0
const began = performance.now()
await Promise.all(
  Array.from({ length: 50 }, async () => {
    while (next < total) await send(`${run}-fast${next++}`)
  }),
)
const accepted = (performance.now() - began) / 1000
const fast = await untilArrived(`${run}-fast`, total, 120_000)
const seconds = (performance.now() - began) / 1000
row(`${total} at once: accepted a second`, Math.round(total / accepted))
row(`${total} at once: arrived, distinct`, `${fast.all}, ${fast.distinct}`)
row(`${total} at once: e-mails a minute, from request to mail server`, Math.round((fast.all / seconds) * 60))

// 3. 20 requests a second.
const times = []
const asked = []
for (let number = 0; number < 600; number += 1) {
  asked.push(send(`${run}-steady${number}`).then((time) => times.push(time)))
  await sleep(50)
}
await Promise.all(asked)
row('POST /send at 20 a second: p50, p99, longest', `${percentile(times, 0.5).toFixed(1)}, ${percentile(times, 0.99).toFixed(1)}, ${Math.max(...times).toFixed(1)} ms`)
const steady = await untilArrived(`${run}-steady`, 600, 10_000)
row('600 at 20 a second: arrived, distinct', `${steady.all}, ${steady.distinct}`)
