// Clicks through the dashboard of a running jobs server in a real browser, as people do.
//
//   JOBS_DASHBOARD_PASSWORD=… node dashboard.mjs http://127.0.0.1:4200 http://127.0.0.1:3105 [FOLDER]
//
// The second address is the server's own, which jobs are added through. Prints `ok …` or `not ok …: why` for each check
// and ends with `N passed, M failed`. Screenshots go to FOLDER where one is given. CHROMIUM names the browser.

import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import puppeteer from 'puppeteer-core'
import { PATIENCE, assert, check, finish, within } from './checks.mjs'

const [dashboard, base, folder] = process.argv.slice(2)
const password = process.env.JOBS_DASHBOARD_PASSWORD
if (!dashboard || !base || !password) {
  console.error('usage: JOBS_DASHBOARD_PASSWORD=… node dashboard.mjs DASHBOARD_URL URL [FOLDER]')
  process.exit(2)
}
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync)
if (!executablePath) {
  console.error('no browser: install Debian\'s package chromium, or name one with CHROMIUM')
  process.exit(2)
}

const run = randomUUID().slice(0, 8)
const queue = `dash-${run}`
const browser = await puppeteer.launch({ executablePath, headless: true, timeout: 120_000, protocolTimeout: 240_000, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] })

within(300, () => browser.close())

async function call(method, path, body) {
  const response = await fetch(base + path, { method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) })
  return response.json()
}

const add = async (type, payload, options = {}) => (await call('POST', '/jobs', { type, payload, options: { queue, ...options } })).jobId

async function until(what, test, patience = PATIENCE) {
  const end = Date.now() + patience
  for (;;) {
    const answer = await test()
    if (answer) return answer
    assert(Date.now() < end, `${what}: not so after ${patience} ms`)
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
}

const state = async (id) => (await call('GET', `/jobs/${id}`)).state

const context = await browser.createBrowserContext()
const page = await context.newPage()
const complaints = []
page.on('console', (message) => { if (['error', 'warn'].includes(message.type())) complaints.push(message.text()) })
page.on('pageerror', (error) => complaints.push(error.message))
page.on('dialog', (dialog) => { complaints.push(`a script of a job ran: ${dialog.message()}`); dialog.dismiss() })
page.setDefaultTimeout(PATIENCE)
await page.setViewport({ width: 1280, height: 860 })

const shot = async (name) => { if (folder) await page.screenshot({ path: join(folder, `${name}.png`) }) }
const click = (selector) => page.locator(selector).setTimeout(PATIENCE).click()
// A press that came to nothing on a busy machine is repeated, as a person would.
const press = (selector, wanted) => until(`${wanted} is there`, async () => {
  if (!(await page.$(wanted))) await page.locator(selector).setTimeout(3_000).click().catch(() => {})
  return page.waitForSelector(wanted, { visible: true, timeout: 3_000 }).catch(() => null)
})
const shows = (selector, text) => until(`${selector} shows ${text}`, () => page.$eval(selector, (element, wanted) => element.textContent.includes(wanted), text).catch(() => false))
const gone = (selector) => until(`${selector} is gone`, async () => !(await page.$(selector)))
// In one step: what was found may be drawn anew before a second.
const focus = (selector) => page.$eval(selector, (element) => element.focus())
const tab = (word) => click(`#tab-${word}`)
const open = async (address) => { await page.goto(`${dashboard}/${address}`, { waitUntil: 'load' }) }

await check('nobody comes in without the password', async () => {
  const response = await fetch(dashboard)
  assert(response.status === 401, `the status is ${response.status}`)
  const wrong = await fetch(dashboard, { headers: { Authorization: `Basic ${Buffer.from('admin:wrong').toString('base64')}` } })
  assert(wrong.status === 401, `the status is ${wrong.status}`)
})

await page.authenticate({ username: 'admin', password })

await check('the page shows the queues with their numbers', async () => {
  await open('')
  for (const name of ['default', 'high-priority', 'low-priority', 'scheduled']) await page.waitForSelector(`[data-key="queue-${name}"]`)
  await shows('#status', 'Redis')
})

const hostile = '<img src=x onerror="alert(1)">'
let bad
await check('a failed job is found with its error, and what it contains is text', async () => {
  bad = await add(`${hostile}`, { html: hostile, '</script><script>alert(2)</script>': '\u202e' }, { attempts: 1 })
  await until('it failed', async () => await state(bad) === 'failed')
  await open(`#/${queue}/failed`)
  await click(`[data-job="${bad}"]`)
  await shows('#job-title', hostile)
  await shows('#job pre.error', 'no processor')
  await shows('#job', '</script><script>alert(2)</script>')
  await shows('#job', '\\u202e')
  assert(!(await page.$('#job img, #main img')), 'a job\'s markup became part of the page')
  await shot('job')
})

await check('a job is tried again from its dialog', async () => {
  await click('#job [data-action="retry"]')
  await until('it was tried again', async () => (await call('GET', `/jobs/${bad}`)).attempts === 2)
  await shows('#job', '2 of 1')
})

await check('Escape closes the dialog, and the address says what is shown', async () => {
  await page.keyboard.press('Escape')
  await until('it is closed', () => page.$eval('#job', (dialog) => !dialog.open))
  // The browser tells the page of the closing in a task of its own, after the dialog is closed.
  await until('the address names the list again', () => page.url().endsWith(`#/${queue}/failed`))
})

await check('removing asks first, and does nothing when it is refused', async () => {
  await click(`[data-key="remove-${bad}"]`)
  await click('#confirm-no')
  assert(await state(bad) === 'failed', 'the job is gone')
  await click(`[data-key="remove-${bad}"]`)
  await click('#confirm-yes')
  await gone(`[data-job="${bad}"]`)
  assert(await state(bad) === undefined, 'the job is still there')
})

await check('a delayed job is run now', async () => {
  const delayed = await add('noop', { run }, { delay: 600_000 })
  await tab('delayed')
  await click(`[data-key="promote-${delayed}"]`)
  await until('it ran', async () => await state(delayed) === 'completed')
  await gone(`[data-key="promote-${delayed}"]`)
  await tab('completed')
  await click(`[data-job="${delayed}"]`)
  await shows('#job', '"done": true')
  await click('#job-close')
})

await check('a queue is paused and goes on', async () => {
  await press('#pause', '#resume')
  assert((await call('GET', `/queues/${queue}`)).isPaused, 'it is not paused')
  await press('#resume', '#pause')
  assert(!(await call('GET', `/queues/${queue}`)).isPaused, 'it is paused')
})

await check('new jobs appear by themselves, and the focus stays where it is', async () => {
  await tab('delayed')
  await page.waitForSelector('#tab-delayed[aria-selected="true"]')
  await focus('#pause')
  const late = await add('noop', {}, { delay: 600_000 })
  await page.waitForSelector(`[data-job="${late}"]`)
  assert(await page.evaluate(() => document.activeElement.id) === 'pause', 'the focus was lost')
})

await check('progress of a running job is shown while it runs', async () => {
  // Longer than a busy machine takes to show it: nobody waits for its end.
  await add('noop', { durationMs: 90_000, steps: 100 })
  await tab('active')
  const told = () => page.$eval('#main progress', (bar) => bar.value).catch(() => 0)
  const first = await until('there is progress', told)
  await until('it goes on', async () => await told() > first)
  await shot('active')
})

await check('long lists come in pages', async () => {
  await Promise.all(Array.from({ length: 30 }, (_, number) => add('noop', { number }, { delay: 600_000 + number * 60_000, priority: number % 3 })))
  await tab('delayed')
  await shows('.pages', '1–25 of 31')
  await click('[data-key="next"]')
  await shows('.pages', '26–31 of 31')
  await shot('pages')
  await click('[data-key="previous"]')
  await shows('.pages', '1–25 of 31')
})

await check('the keyboard is enough', async () => {
  await focus('#tab-delayed')
  await page.keyboard.press('ArrowRight')
  await until('the next tab is chosen', () => page.$eval('[role="tab"][aria-selected="true"]', (chosen) => chosen.id !== 'tab-delayed'))
  await tab('delayed')
  await page.waitForSelector('td .open')
  await focus('td .open')
  await page.keyboard.press('Enter')
  await until('the job is open', () => page.$eval('#job', (dialog) => dialog.open))
  const inside = await page.evaluate(() => document.querySelector('#job').contains(document.activeElement))
  assert(inside, 'the focus is not in the dialog')
  await page.keyboard.press('Escape')
})

await check('all jobs of a state are removed together', async () => {
  await until('no dialog is open', () => page.$eval('#job', (dialog) => !dialog.open))
  await click('#clean')
  await click('#confirm-yes')
  await shows('#main', 'No delayed jobs.')
})

await check('schedules are listed and removed', async () => {
  await call('POST', '/scheduled', { name: `dash-${run}`, type: 'noop', schedule: '0 9 * * *', payload: {}, timezone: 'Europe/Berlin' })
  await click('[data-key="schedules"]')
  await shows('#main', `dash-${run}`)
  await shot('schedules')
  await click(`[data-key="schedule-dash-${run}"]`)
  await click('#confirm-yes')
  await gone(`[data-key="schedule-dash-${run}"]`)
})

await check('it is readable on a phone and in the dark', async () => {
  await Promise.all(['reports', 'mails'].map((type) => add(`${type}-${run}`, {}, { attempts: 1 })))
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }])
  await page.setViewport({ width: 390, height: 844, isMobile: true, hasTouch: true, deviceScaleFactor: 2 })
  await open(`#/${queue}/failed`)
  await page.waitForSelector('td .open')
  const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
  assert(wide <= width, `it is ${wide} wide on a screen of ${width}`)
  await shot('phone')
  await page.setViewport({ width: 1280, height: 860 })
  await page.waitForSelector('td .open')
  await shot('dark')
})

await check('the page says so when the server cannot be reached, and goes on when it can', async () => {
  await page.setOfflineMode(true)
  await shows('#banner', 'cannot be reached')
  await page.setOfflineMode(false)
  await until('the banner is gone', () => page.$eval('#banner', (banner) => banner.hidden))
})

await check('the browser had nothing to complain of', async () => {
  const real = complaints.filter((text) => !text.includes('ERR_INTERNET_DISCONNECTED') && !text.includes('401'))
  assert(real.length === 0, real.join(' | '))
})

await finish()
