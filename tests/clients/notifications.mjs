// Talks to a running notifications server as an app does: plain fetch, no packages.
//
//   node notifications.mjs http://127.0.0.1:3102 [FILE]
//
// FILE is what tests/clients/smtp_sink.py writes, when the server sends its e-mail there; without it, the checks of
// e-mails are left out. NOTIFICATIONS_API_KEY is sent where it is set. Prints `ok …` or `not ok …: why` for each check
// and ends with `N passed, M failed`. Makes its own users, so it can run again and again on one server.

import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { PATIENCE, assert, check, equal, finish, sleep, within } from './checks.mjs'

const [url, mails] = process.argv.slice(2)
if (!url) {
  console.error('usage: node notifications.mjs URL [FILE]')
  process.exit(2)
}

const run = randomUUID().slice(0, 8)
const user = `user-${run}`
const key = process.env.NOTIFICATIONS_API_KEY

within(300)

async function ask(method, path, body, headers = {}) {
  const response = await fetch(url + path, {
    method,
    headers: { 'content-type': 'application/json', ...(key ? { 'x-api-key': key } : {}), ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  const text = await response.text()
  let json = null
  try {
    json = JSON.parse(text)
  } catch {}
  return { status: response.status, ok: response.ok, headers: response.headers, body: json, text }
}

async function good(method, path, body, headers) {
  const answer = await ask(method, path, body, headers)
  assert(answer.ok, `${method} ${path} answered ${answer.status} ${answer.text}`)
  return answer.body
}

async function refused(status, method, path, body) {
  const answer = await ask(method, path, body)
  equal(answer.status, status, `${method} ${path}`)
  assert(typeof answer.body?.error === 'string' && answer.body.error, `no error in ${answer.text}`)
  return answer.body
}

async function until(what, ask) {
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    const found = await ask()
    if (found) return found
    await sleep(50)
  }
  throw new Error(`not in time: ${what}`)
}

function mailsTo(address) {
  let lines = []
  try {
    lines = readFileSync(mails, 'utf8').split('\n').filter(Boolean)
  } catch {}
  return lines.map((line) => JSON.parse(line)).filter((mail) => mail.recipients.includes(address))
}

const mailTo = (address) => until(`a mail to ${address}`, async () => mailsTo(address)[0])
const part = (mail, type) => mail.parts.find((part) => part.type === type)?.text ?? ''
const inApp = (title, more = {}) => ({ userId: user, type: 'mention', title, body: 'b', channels: ['in-app'], ...more })

await check('health says who answers and what is on', async () => {
  const health = await good('GET', '/health')
  equal(health.service, 'notifications', 'service')
  assert(/^\d+\.\d+\.\d+/.test(health.version), 'a version')
  equal(health.migrations.applied, health.migrations.expected, 'migrations applied')
  equal(health.channels['in-app'].enabled, true, 'in-app')
  if (mails) equal(health.channels.email.enabled, true, 'email')
})

await check('ten health requests at a time are answered within a second each', async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => good('GET', '/health')))
  assert(answers.every((answer) => answer.status), 'each has a status')
})

await check('metrics are Prometheus text', async () => {
  const answer = await ask('GET', '/metrics')
  assert(answer.headers.get('content-type').startsWith('text/plain; version=0.0.4'), 'the type')
  assert(answer.text.includes('# TYPE notifications_sent_total counter'), 'the counter')
})

let first
await check('an in-app message is accepted and stored', async () => {
  const answer = await good('POST', '/send', inApp('one'))
  equal([answer.success, answer.channels], [true, ['in-app']], 'the answer')
  equal(answer.notification_id, answer.notificationId, 'both names of the id')
  first = answer.notificationId
  const shown = await good('GET', `/notifications/${first}`)
  equal([shown.status, shown.userId, shown.title], ['delivered', user, 'one'], 'the message')
})

await check('the list counts what is not read', async () => {
  await good('POST', '/send', inApp('two'))
  const list = await good('GET', `/history?userId=${user}&limit=10`)
  equal([list.total, list.unread, list.notifications[0].title], [2, 2, 'two'], 'the list')
})

await check('read, read-all, delete and clear do what they say', async () => {
  await good('POST', `/read/${first}`, { userId: user })
  equal((await good('GET', `/unread/${user}`)).unread, 1, 'not read')
  equal((await good('POST', '/read-all', { userId: user })).markedCount, 1, 'marked')
  await good('DELETE', `/${first}`, { userId: user })
  await refused(404, 'GET', `/notifications/${first}`)
  equal((await good('POST', '/clear', { userId: user })).deletedCount, 1, 'deleted')
})

await check('what belongs to somebody else is not found', async () => {
  const { notificationId } = await good('POST', '/send', inApp('mine'))
  await refused(404, 'POST', `/read/${notificationId}`, { userId: 'somebody-else' })
  await refused(404, 'DELETE', `/${notificationId}`, { userId: 'somebody-else' })
})

await check('requests that cannot be used are refused by field', async () => {
  for (const [body, field] of [
    [{ title: 't' }, 'userId'],
    [{ userId: '', title: 't' }, 'userId'],
    [{ userId: user, title: 't', channels: ['pigeon'] }, 'channels'],
    [{ userId: user }, 'content'],
    [{ userId: user, title: 'a\r\nBcc: b@c.example' }, 'title'],
  ]) {
    const answer = await refused(400, 'POST', '/send', body)
    assert(answer.details.some((detail) => detail.field === field), `${field} in ${JSON.stringify(answer.details)}`)
  }
  await refused(404, 'GET', '/nothing/at/all')
})

await check('push without a provider is refused by name', async () => {
  const answer = await refused(400, 'POST', '/send', { userId: user, channels: ['push'], pushToken: 'p', title: 't' })
  assert(answer.error.includes('NOTIFICATIONS_'), answer.error)
})

await check('a message goes where it can and says where it cannot', async () => {
  const answer = await good('POST', '/send', inApp('partly', { channels: ['in-app', 'push'], pushToken: 'p' }))
  equal(answer.channels, ['in-app'], 'channels')
  equal(answer.results.map((result) => result.status), ['delivered', 'not_configured'], 'results')
})

await check('a repeated request is one message', async () => {
  const headers = { 'idempotency-key': `key-${run}` }
  const one = await good('POST', '/send', inApp('once'), headers)
  const two = await good('POST', '/send', inApp('once'), headers)
  equal(two.notificationId, one.notificationId, 'the id')
  equal((await ask('POST', '/send', inApp('other'), headers)).status, 422, 'the key with another content')
})

await check('fifty users at a time are all served', async () => {
  const sends = Array.from({ length: 50 }, (_, number) => ask('POST', '/send', inApp('crowd', { userId: `${user}-${number}` })))
  equal((await Promise.all(sends)).filter((answer) => answer.ok).length, 50, 'answers')
})

await check('many in one request are counted', async () => {
  const notifications = Array.from({ length: 5 }, (_, number) => ({ userId: `${user}-b${number}`, title: 't', body: 'b' }))
  for (const path of ['/send-bulk', '/batch/send']) {
    const answer = await good('POST', path, { notifications, channels: ['in-app'] })
    equal([answer.success, answer.sent, answer.failed], [true, 5, 0], path)
  }
})

await check('a broadcast reaches those it names', async () => {
  const answer = await good('POST', '/broadcast', {
    channelId: 'general', type: 'news', title: 'All', body: 'b', channels: ['in-app'], userIds: [`${user}-x`, `${user}-y`],
  })
  equal([answer.success, answer.recipients], [true, 2], 'the answer')
})

await check('preferences are merged, in both dialects', async () => {
  const written = await good('POST', `/preferences/${user}`, { channels: { sms: false }, quiet_hours: { enabled: false } })
  equal([written.success, written.preferences.channels.sms, written.preferences.channels.email], [true, false, true], 'the answer')
  await good('POST', '/api/preferences', {
    user_id: user, preferences: [{ channel: 'email', category: 'marketing', enabled: false, frequency: 'immediate' }],
  })
  const rows = (await good('GET', `/api/preferences/${user}`)).preferences
  assert(rows.some((row) => row.channel === 'email' && row.category === 'marketing' && row.enabled === false), 'the rule')
  await refused(400, 'POST', `/preferences/${user}`, { quiet_hours: { timezone: 'Mars/Olympus' } })
})

await check('templates are listed, shown, stored and removed', async () => {
  const { templates } = await good('GET', '/templates')
  const names = templates.map((template) => template.name)
  for (const name of ['welcome_email', 'password_reset', 'nchat_mention', 'nchat_announcement']) assert(names.includes(name), name)
  await good('POST', '/api/templates', { name: `own_${run}`, subject: 'S {{x}}', text: 'T {{x}}' })
  equal((await good('GET', `/api/templates/own_${run}`)).template.subject, 'S {{x}}', 'the template')
  await good('POST', '/send/template', { userId: user, templateId: `own_${run}`, variables: { x: 1 }, channels: ['in-app'] })
  await good('DELETE', `/api/templates/own_${run}`)
  await refused(404, 'POST', '/send/template', { userId: user, templateId: `own_${run}`, channels: ['in-app'] })
})

await check('webhooks and push subscriptions are kept', async () => {
  const made = await good('POST', '/webhooks', { userId: user, url: 'https://hooks.example/hook', events: ['notification.sent'] })
  equal((await good('GET', `/webhooks?userId=${user}`)).webhooks[0].webhookId, made.webhookId, 'the webhook')
  await refused(400, 'POST', '/webhooks', { userId: user, url: 'http://169.254.169.254/x' })
  equal((await good('GET', `/webhooks/dead-letters?userId=${user}`)).deadLetters, [], 'dead letters')
  await good('DELETE', `/webhooks/${made.webhookId}`)
  const endpoint = `https://push.example/${run}`
  await good('POST', '/api/push/subscribe', { user_id: user, subscription: { endpoint, expirationTime: null, keys: { p256dh: 'p', auth: 'a' } } })
  await good('DELETE', '/api/push/unsubscribe', { endpoint })
})

await check('a template can neither recurse nor loop without end', async () => {
  const list = Array.from({ length: 400 }, (_, number) => number)
  for (const body of [
    '{{#*inline "a"}}{{> a}}{{/inline}}{{> a}}',
    '{{#if a}}'.repeat(2000),
    '{{#each l}}{{#each ../l}}{{#each ../../l}}{{/each}}{{/each}}{{/each}}',
  ]) await refused(400, 'POST', '/send', inApp('t', { body, variables: { a: 1, l: list } }))
  await good('GET', '/health')
})

await check('statistics count', async () => {
  const { stats } = await good('GET', '/api/stats/delivery?days=1')
  assert(stats.some((row) => row.channel === 'in-app' && row.delivered > 0), JSON.stringify(stats))
})

if (mails) {
  await check('an e-mail arrives with both parts, its letters and its file', async () => {
    const email = `both-${run}@b.example`
    const { notificationId } = await good('POST', '/send', {
      userId: user, channel: 'email', to: { email, name: 'Ann Ö' }, category: 'transactional',
      content: { subject: 'Grüße 👋', body: 'Schöne Worte', html: '<p>Schöne Worte</p>' },
      attachments: [{ filename: 'a.bin', content: Buffer.from([0, 1, 255]).toString('base64'), contentType: 'application/octet-stream' }],
    })
    const mail = await mailTo(email)
    equal([mail.headers.subject, mail.headers.to], ['Grüße 👋', `Ann Ö <${email}>`], 'the head')
    equal([part(mail, 'text/plain').trim(), part(mail, 'text/html').trim()], ['Schöne Worte', '<p>Schöne Worte</p>'], 'the parts')
    equal(mail.parts.find((one) => one.filename === 'a.bin').base64, 'AAH/', 'the file')
    await until('it is sent', async () => (await good('GET', `/notifications/${notificationId}`)).status === 'sent')
  })

  await check('a template escapes in HTML only', async () => {
    const email = `template-${run}@b.example`
    await good('POST', '/send/template', {
      userId: user, templateId: 'nchat_mention', channels: ['email'], email,
      variables: { actor_name: '<Bob>', channel_name: 'general', message_preview: 'a < b' },
    })
    const mail = await mailTo(email)
    equal(mail.headers.subject, '<Bob> mentioned you in #general', 'the subject')
    assert(part(mail, 'text/html').includes('&lt;Bob&gt;') && part(mail, 'text/plain').includes('a < b'), 'the parts')
  })

  await check('the other dialect sends too', async () => {
    const email = `api-${run}@b.example`
    const answer = await good('POST', '/api/notifications/send', {
      user_id: user, channel: 'email', category: 'system', to: { email }, content: { subject: 'S', html: '<p>x</p>' }, priority: 5,
    })
    equal((await mailTo(email)).headers.subject, 'S', 'the subject')
    await until('it is sent', async () => {
      const { notification } = await good('GET', `/api/notifications/${answer.notification_id}`)
      return notification.status === 'sent'
    })
  })

  await check('copies, sender and unusual addresses are honoured', async () => {
    const email = `copy-${run}@b.example`
    await good('POST', '/send', {
      userId: user, channels: ['email'], email, title: '=?utf-8?q?Hi=0D=0ABcc=3A_x?=', body: 'b', category: 'transactional',
      cc: `C <cc-${run}@müller.example>`, bcc: [`bcc-${run}@b.example`], from: 'Shop <shop@b.example>', replyTo: 'help@b.example',
      listUnsubscribe: 'https://b.example/u',
    })
    const mail = await mailTo(email)
    equal(mail.headers.subject, '=?utf-8?q?Hi=0D=0ABcc=3A_x?=', 'the subject')
    equal(mail.recipients, [email, `cc-${run}@xn--mller-kva.example`, `bcc-${run}@b.example`], 'the recipients')
    equal([mail.headers.from, mail.headers['reply-to']], ['Shop <shop@b.example>', 'help@b.example'], 'the head')
    equal(mail.headers['list-unsubscribe-post'], 'List-Unsubscribe=One-Click', 'one click')
    assert(!mail.headers.bcc, 'no hidden recipient in the head')
  })

  await check('what is put off is tried again, what is refused is not', async () => {
    const send = (email) => good('POST', '/send', { userId: `${user}-r`, channels: ['email'], email, title: 't', body: 'b' })
    const bounced = await send(`unknown-${run}@b.example`)
    const later = `later1-${run}@b.example`
    await send(later)
    await until('it bounces', async () => (await good('GET', `/notifications/${bounced.notificationId}`)).status === 'bounced')
    await mailTo(later)
    equal(mailsTo(later).length, 1, 'mails')
  })
}

await finish()
