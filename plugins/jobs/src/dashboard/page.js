// Everything that jobs contain is put into the page as text (textContent), never as markup.
'use strict'

const STATES = ['active', 'waiting', 'prioritized', 'paused', 'delayed', 'waiting-children', 'failed', 'completed']
const ALWAYS_SHOWN = ['active', 'waiting', 'delayed', 'failed', 'completed']
const CLEANABLE = ['waiting', 'prioritized', 'paused', 'delayed', 'failed', 'completed']
const PAGE_SIZE = 25
const EVERY = 2000

const byId = (id) => document.getElementById(id)
let view = { queue: null, state: null, page: 0, job: null }
let shown = {}
let overview = null
let loading = false
let again = false

// Signs that are not seen but change how others are shown are spelled out.
const seen = (text) => String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)

// Builds an element; the keys of `parts` are properties, but for on…, data-… and aria-….
function make(tag, parts, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(parts ?? {})) {
    if (value === undefined || value === null) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name.includes('-') || name === 'role') element.setAttribute(name, value)
    else element[name] = value
  }
  element.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : seen(child))))
  return element
}

// Puts new content in place of the old, keeping the focus on what has the same key.
function replace(target, ...children) {
  const key = target.contains(document.activeElement) ? document.activeElement.dataset.key : null
  target.replaceChildren(...children.filter((child) => child !== null && child !== undefined))
  if (key) target.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true })
}

async function call(path, method = 'GET') {
  const response = await fetch(`${location.origin}/api/${path}`, { method, headers: { 'X-Nself-Dashboard': '1' } })
  const body = await response.json().catch(() => ({}))
  if (!response.ok) throw Object.assign(new Error(body.error ?? `the server answered ${response.status}`), { status: response.status })
  return body
}

const queuePath = (queue, ...rest) => ['queues', queue, ...rest].map(encodeURIComponent).join('/')

function toast(text, isBad = false) {
  const element = byId('toast')
  element.textContent = text
  element.className = isBad ? 'bad' : ''
  element.hidden = false
  clearTimeout(toast.timer)
  toast.timer = setTimeout(() => { element.hidden = true }, isBad ? 6000 : 2500)
}

async function act(path, method, done) {
  try {
    const answer = await call(path, method)
    toast(typeof done === 'function' ? done(answer) : done)
    return true
  } catch (error) {
    toast(error.message, true)
    return false
  } finally {
    shown = {}
    await refresh()
  }
}

function confirmed(text, word) {
  const dialog = byId('confirm')
  byId('confirm-text').textContent = text
  byId('confirm-yes').textContent = word
  dialog.showModal()
  byId('confirm-no').focus()
  return new Promise((resolve) => {
    const end = (answer) => { dialog.onclose = null; dialog.close(); resolve(answer) }
    byId('confirm-yes').onclick = () => end(true)
    byId('confirm-no').onclick = () => end(false)
    dialog.onclose = () => end(false)
  })
}

// Times.
function ago(iso) {
  if (!iso) return '–'
  const seconds = Math.round((Date.now() - Date.parse(iso)) / 1000)
  const size = Math.abs(seconds)
  const text = size < 60 ? `${size} s` : size < 3600 ? `${Math.round(size / 60)} min` : size < 172800 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} d`
  return seconds >= 0 ? `${text} ago` : `in ${text}`
}

function time(iso) {
  if (!iso) return '–'
  return make('time', { dateTime: iso, title: iso }, ago(iso))
}

function due(job) {
  return job.delay ? new Date(Date.parse(job.createdAt) + job.delay).toISOString() : job.createdAt
}

function took(job) {
  if (!job.completedAt || !job.startedAt) return '–'
  const milliseconds = Date.parse(job.completedAt) - Date.parse(job.startedAt)
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`
}

const pretty = (value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2))

// The address after # says what is shown, so that it can be kept and sent.
function readAddress() {
  const [path, query] = location.hash.slice(1).split('?')
  const [queue, state] = path.split('/').filter(Boolean).map(decodeURIComponent)
  const wanted = new URLSearchParams(query)
  view = { queue: queue ?? null, state: state ?? null, page: Math.max(0, (Number(wanted.get('page')) || 1) - 1), job: wanted.get('job') }
}

function go(change) {
  const next = { ...view, ...change }
  const query = new URLSearchParams()
  if (next.page) query.set('page', next.page + 1)
  if (next.job) query.set('job', next.job)
  const path = [next.queue, next.state].filter(Boolean).map(encodeURIComponent).join('/')
  const hash = `#/${path}${query.size ? `?${query}` : ''}`
  // At once, so that nothing is drawn for the earlier view; the change of the address comes as an event of its own.
  view = next
  if (location.hash === hash) refresh()
  else location.hash = hash
}

function drawQueues() {
  const text = JSON.stringify([overview.queues, view.queue])
  if (shown.queues === text) return
  shown.queues = text
  replace(byId('queues'), ...overview.queues.map((queue) => {
    const counts = queue.counts
    const waiting = counts.waiting + counts.prioritized + counts.paused
    return make('button', { type: 'button', 'data-key': `queue-${queue.name}`, 'aria-current': String(queue.name === view.queue), onclick: () => go({ queue: queue.name, state: null, page: 0, job: null }) },
      make('span', { className: 'name' }, queue.name, queue.isPaused ? make('span', { className: 'badge paused' }, 'paused') : null),
      make('span', { className: 'numbers' },
        make('span', { className: counts.active ? 'busy' : '' }, `${counts.active} active`),
        make('span', { className: waiting ? 'some' : '' }, `${waiting} waiting`),
        make('span', { className: counts.delayed ? 'some' : '' }, `${counts.delayed} delayed`),
        make('span', { className: counts.failed ? 'bad' : '' }, `${counts.failed} failed`)))
  }), make('button', { type: 'button', 'data-key': 'schedules', 'aria-current': String(view.queue === '~schedules'), onclick: () => go({ queue: '~schedules', state: null, page: 0, job: null }) }, make('span', { className: 'name' }, 'Schedules')))
}

function head(queue) {
  const toggle = queue.isPaused
    ? make('button', { type: 'button', className: 'main', 'data-key': 'toggle', id: 'resume', onclick: () => act(queuePath(queue.name, 'resume'), 'POST', `${queue.name} goes on`) }, 'Resume')
    : make('button', { type: 'button', 'data-key': 'toggle', id: 'pause', onclick: () => act(queuePath(queue.name, 'pause'), 'POST', `${queue.name} is paused`) }, 'Pause')
  const here = queue.counts[view.state]
  const retryAll = view.state === 'failed'
    ? make('button', { type: 'button', id: 'retry-all', 'data-key': 'retry-all', disabled: !here, onclick: async () => {
        if (await confirmed(`Try all ${here} failed jobs of ${queue.name} again?`, 'Retry all')) await act(queuePath(queue.name, 'retry', 'failed'), 'POST', 'They are tried again')
      } }, 'Retry all')
    : null
  const clean = CLEANABLE.includes(view.state)
    ? make('button', { type: 'button', id: 'clean', className: 'danger', 'data-key': 'clean', disabled: !here, onclick: async () => {
        if (await confirmed(`Remove all ${here} ${view.state} jobs of ${queue.name}? They cannot be brought back.`, 'Remove')) await act(queuePath(queue.name, 'clean', view.state), 'POST', (answer) => `${answer.cleaned} jobs were removed`)
      } }, `Remove all ${view.state}`)
    : null
  return make('div', { className: 'head' }, make('h2', {}, queue.name), queue.isPaused ? make('span', { className: 'badge paused' }, 'paused') : null,
    make('div', { className: 'actions' }, retryAll, clean, toggle))
}

function tabs(queue) {
  const states = STATES.filter((state) => ALWAYS_SHOWN.includes(state) || queue.counts[state] > 0 || state === view.state)
  const list = make('div', { className: 'tabs', role: 'tablist', 'aria-label': 'States' }, ...states.map((state) =>
    make('button', { type: 'button', role: 'tab', id: `tab-${state}`, 'data-key': `tab-${state}`, 'aria-selected': String(state === view.state), tabIndex: state === view.state ? 0 : -1, onclick: () => go({ state, page: 0, job: null }) },
      state, make('span', { className: 'count' }, queue.counts[state]))))
  list.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!step) return
    const next = list.children[(states.indexOf(view.state) + step + states.length) % states.length]
    next.focus()
    next.click()
  })
  return list
}

function rowActions(queue, job) {
  const button = (word, label, action, isDanger) => make('button', { type: 'button', className: isDanger ? 'danger' : '', 'data-key': `${word}-${job.id}`, 'data-action': word, 'aria-label': `${label} job ${job.id}`, onclick: action }, label)
  return [
    job.list === 'failed' ? button('retry', 'Retry', () => act(queuePath(queue, job.id, 'retry'), 'POST', 'The job is tried again')) : null,
    job.list === 'delayed' ? button('promote', 'Run now', () => act(queuePath(queue, job.id, 'promote'), 'POST', 'The job waits for a worker now')) : null,
    job.list === 'active' ? null : button('remove', 'Remove', async () => {
      if (!(await confirmed(`Remove job ${job.id} (${job.type})?`, 'Remove'))) return
      if (await act(queuePath(queue, job.id), 'DELETE', 'The job was removed') && view.job === job.id) go({ job: null })
    }, true),
  ].filter(Boolean)
}

function when(job) {
  if (job.list === 'delayed') return ['Due', due(job)]
  if (job.list === 'active') return ['Started', job.startedAt]
  if (job.list === 'failed' || job.list === 'completed') return ['Ended', job.completedAt]
  return ['Added', job.createdAt]
}

const lastColumn = () => ({ active: 'Progress', failed: 'Took', completed: 'Took' }[view.state] ?? 'Priority')

function row(queue, job) {
  const [label, moment] = when(job)
  const percent = typeof job.progress === 'number' ? job.progress : null
  return make('tr', {},
    make('td', {},
      make('button', { type: 'button', className: 'open', 'data-key': `open-${job.id}`, 'data-job': job.id, onclick: () => go({ job: job.id }) }, job.type || '(no name)'),
      make('div', { className: 'id' }, job.id),
      job.failedReason ? make('div', { className: 'why' }, job.failedReason) : null),
    make('td', { className: 'number', 'data-label': label }, time(moment)),
    make('td', { className: 'number', 'data-label': 'Attempts' }, `${job.attempts} / ${job.maxAttempts}`),
    make('td', { className: 'number', 'data-label': lastColumn() }, { Progress: () => (percent === null ? '–' : make('progress', { max: 100, value: percent, title: `${percent} %` })), Took: () => took(job), Priority: () => job.priority || 'none' }[lastColumn()]()),
    make('td', { className: 'row-actions' }, ...rowActions(queue, job)))
}

function pages(total) {
  const last = Math.max(0, Math.ceil(total / PAGE_SIZE) - 1)
  if (last === 0) return null
  return make('div', { className: 'pages' },
    make('span', {}, `${view.page * PAGE_SIZE + 1}–${Math.min(total, (view.page + 1) * PAGE_SIZE)} of ${total}`),
    make('button', { type: 'button', 'data-key': 'previous', disabled: view.page === 0, onclick: () => go({ page: view.page - 1 }) }, 'Previous'),
    make('button', { type: 'button', 'data-key': 'next', disabled: view.page >= last, onclick: () => go({ page: view.page + 1 }) }, 'Next'))
}

function drawJobs(queue, listing) {
  const minute = Math.floor(Date.now() / 10000)
  const text = JSON.stringify([queue, listing, view.state, view.page, minute])
  if (shown.jobs === text) return
  shown.jobs = text
  const sample = listing.jobs[0] ?? { list: view.state }
  const table = listing.jobs.length
    ? make('table', {}, make('thead', {}, make('tr', {}, ...['Job', when(sample)[0], 'Attempts', lastColumn()].map((name) => make('th', { scope: 'col' }, name)), make('th', { scope: 'col' }, make('span', { className: 'skip' }, 'Actions')))),
        make('tbody', {}, ...listing.jobs.map((job) => row(queue.name, job))))
    : make('p', { className: 'empty' }, view.page > 0 ? 'There is nothing on this page any more.' : `No ${view.state} jobs.`)
  const scrolled = document.querySelector('.tabs')?.scrollLeft ?? 0
  replace(byId('main'), make('section', { className: 'card', 'aria-label': `Queue ${queue.name}` }, head(queue), tabs(queue), table, pages(listing.total)))
  document.querySelector('.tabs').scrollLeft = scrolled
}

function drawSchedules(schedules) {
  const text = JSON.stringify([schedules, Math.floor(Date.now() / 10000)])
  if (shown.jobs === text) return
  shown.jobs = text
  const rows = schedules.map((schedule) => make('tr', {},
    make('td', {}, make('strong', {}, schedule.name), make('div', { className: 'id' }, `${schedule.type} in ${schedule.queue}`)),
    make('td', { className: 'number', 'data-label': 'Schedule' }, schedule.schedule ?? (schedule.every ? `every ${schedule.every} ms` : '–'), schedule.timezone ? make('div', { className: 'id' }, schedule.timezone) : null),
    make('td', { className: 'number', 'data-label': 'Next' }, schedule.enabled ? time(schedule.nextRun) : 'off'),
    make('td', { className: 'row-actions' }, make('button', { type: 'button', className: 'danger', 'data-key': `schedule-${schedule.name}`, 'aria-label': `Remove schedule ${schedule.name}`, onclick: async () => {
      if (await confirmed(`Remove the schedule ${schedule.name}?`, 'Remove')) await act(`schedules/${encodeURIComponent(schedule.name)}`, 'DELETE', 'The schedule was removed')
    } }, 'Remove'))))
  const table = rows.length
    ? make('table', {}, make('thead', {}, make('tr', {}, ...['Schedule', 'When', 'Next', ''].map((name) => make('th', { scope: 'col' }, name)))), make('tbody', {}, ...rows))
    : make('p', { className: 'empty' }, 'No schedules.')
  replace(byId('main'), make('section', { className: 'card', 'aria-label': 'Schedules' }, make('div', { className: 'head' }, make('h2', {}, 'Schedules')), table))
}

function block(title, value, className) {
  if (value === null || value === undefined || value === '' || (Array.isArray(value) && !value.length)) return []
  return [make('h3', {}, title), make('pre', { className: className ?? '', tabIndex: 0, 'aria-label': title }, Array.isArray(value) && value.every((entry) => typeof entry === 'string') ? value.join('\n') : pretty(value))]
}

function drawJob(job) {
  const dialog = byId('job')
  const text = JSON.stringify([job, Math.floor(Date.now() / 10000)])
  if (shown.job !== text) {
    shown.job = text
    const facts = [['Queue', job.queue], ['Id', job.id], ['Attempts', `${job.attempts} of ${job.maxAttempts}`], ['Progress', pretty(job.progress)], ['Priority', job.priority || 'none'], ['Added', time(job.createdAt)],
      ...(job.list === 'delayed' ? [['Due', time(due(job))]] : []), ['Started', time(job.startedAt)], ['Ended', time(job.completedAt)], ['Took', took(job)], ...(job.processedBy ? [['Worker', job.processedBy]] : []), ...(job.scheduleId ? [['Schedule', job.scheduleId]] : [])]
    replace(dialog,
      make('div', { className: 'title' }, make('h2', { id: 'job-title' }, job.type || '(no name)'), make('span', { className: `badge ${job.list}` }, job.list ?? 'unknown'),
        make('button', { type: 'button', id: 'job-close', 'data-key': 'close', onclick: () => go({ job: null }) }, 'Close')),
      make('dl', {}, ...facts.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)])),
      make('div', { className: 'actions' }, ...rowActions(view.queue, job)),
      ...block('Error', job.failedReason, 'error'), ...block('Payload', job.payload), ...block('Result', job.result), ...block('Logs', job.logs), ...block('Stack trace', job.stacktrace), ...block('Options', job.options))
  }
  if (!dialog.open) dialog.showModal()
}

// On narrow screens the queues and the states are in rows that are wider than the screen.
function reveal() {
  const place = `${view.queue} ${view.state}`
  if (shown.place === place) return
  shown.place = place
  for (const element of document.querySelectorAll('[aria-current="true"], [aria-selected="true"]')) {
    const parent = element.parentElement
    parent.scrollLeft = element.offsetLeft - parent.offsetLeft - (parent.clientWidth - element.clientWidth) / 2
  }
}

// A button that is drawn anew between being pressed and let go is not clicked.
let pressed = null
let letGo = () => {}
addEventListener('pointerdown', () => { pressed ??= new Promise((resolve) => { letGo = resolve }) }, true)
for (const name of ['pointerup', 'pointercancel', 'blur']) addEventListener(name, () => setTimeout(() => { letGo(); pressed = null }), true)

// What was asked for a view that is no longer the one to be shown is not drawn; who changes the view refreshes.
async function load() {
  const asked = view
  const answer = await call('queues')
  await pressed
  if (view !== asked) return
  overview = answer
  if (!view.queue || (view.queue !== '~schedules' && !overview.queues.some((queue) => queue.name === view.queue))) view.queue = overview.queues[0]?.name
  drawQueues()
  const workers = overview.workers
  byId('status').textContent = `Redis ${overview.redis.latency?.toFixed(1) ?? '–'} ms · ${workers.enabled ? `${workers.active} running in ${workers.total} workers` : 'workers are off'} · v${overview.version}`
  if (view.queue === '~schedules') {
    const { schedules } = await call('schedules')
    await pressed
    if (view === asked) drawSchedules(schedules)
    return
  }
  const queue = overview.queues.find((entry) => entry.name === view.queue)
  view.state ??= STATES.find((state) => queue.counts[state] > 0) ?? 'waiting'
  if (!STATES.includes(view.state)) view.state = 'waiting'
  const query = new URLSearchParams({ state: view.state, offset: view.page * PAGE_SIZE, limit: PAGE_SIZE })
  const listing = await call(`${queuePath(view.queue)}?${query}`)
  await pressed
  if (view !== asked) return
  drawJobs(queue, listing)
  reveal()
  if (!view.job) {
    shown.job = null
    if (byId('job').open) byId('job').close()
    return
  }
  try {
    const job = await call(queuePath(view.queue, view.job))
    await pressed
    if (view === asked) drawJob(job)
  } catch (error) {
    if (error.status !== 404) throw error
    if (view !== asked) return
    toast('The job is no longer there')
    go({ job: null })
  }
}

async function refresh() {
  if (loading) { again = true; return }
  loading = true
  try {
    await load()
    byId('banner').hidden = true
    byId('status').className = ''
  } catch (error) {
    byId('banner').textContent = error instanceof TypeError ? 'The server cannot be reached; it is tried again.' : error.message
    byId('banner').hidden = false
    byId('status').className = 'away'
    byId('status').textContent = 'not connected'
  } finally {
    loading = false
    if (again) { again = false; refresh() }
  }
}

addEventListener('hashchange', () => { readAddress(); refresh() })
document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh() })
// Escape: what is under way for the job must not open it again before the closing is told.
byId('job').addEventListener('cancel', () => go({ job: null }))
byId('job').addEventListener('close', () => { if (view.job) go({ job: null }) })
byId('job').addEventListener('click', (event) => { if (event.target === byId('job')) go({ job: null }) })
byId('live').addEventListener('change', refresh)
setInterval(() => { if (!document.hidden && byId('live').checked) refresh() }, EVERY)
readAddress()
refresh()
