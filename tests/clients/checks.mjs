// What the clients share: checks that print a line each, `ok …` or `not ok …: why`, and an end that comes in any case.

import { createServer } from 'node:net'

let passed = 0
let failed = 0
let deadline
let tidyUp = async () => {}

// How long something that must come is waited for, in milliseconds. Only a machine that is busy with much else needs more
// than one second of it.
export const PATIENCE = 40_000

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

// Ends the run with a failure after so many seconds; `tidy` is awaited before every end, for a few seconds at most.
export function within(seconds, tidy = tidyUp) {
  tidyUp = tidy
  deadline = setTimeout(() => {
    console.log(`not ok everything within ${seconds} seconds: still running`)
    failed += 1
    finish()
  }, seconds * 1000)
}

export async function finish() {
  clearTimeout(deadline)
  await Promise.race([Promise.resolve(tidyUp()).catch(() => {}), sleep(5_000)])
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed === 0 && passed > 0 ? 0 : 1)
}

export async function check(sentence, body) {
  try {
    await body()
    passed += 1
    console.log(`ok ${sentence}`)
  } catch (error) {
    failed += 1
    // The rest of a stack trace would look like further results.
    console.log(`not ok ${sentence}: ${String(error?.stack ?? error).split('\n').slice(0, 3).join(' |')}`)
  }
}

export function assert(condition, why) {
  if (!condition) throw new Error(why)
}

// The order of an object's keys means nothing.
const ordered = (_, value) =>
  value && typeof value === 'object' && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).sort()) : value

export function equal(actual, expected, what) {
  const [left, right] = [JSON.stringify(actual, ordered), JSON.stringify(expected, ordered)]
  assert(left === right, `${what} is ${left}, not ${right}`)
}

// Waits until `body` gives true; what it gave last is told when that takes longer than `patience` milliseconds.
export async function eventually(what, body, patience = PATIENCE) {
  const end = Date.now() + patience
  let last
  while (Date.now() < end) {
    last = await Promise.resolve().then(body).catch((error) => error.message)
    if (last === true) return
    await sleep(50)
  }
  throw new Error(`${what} did not come: ${JSON.stringify(last)}`)
}

// A port that nothing holds.
export const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
