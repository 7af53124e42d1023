// Talks to a running realtime server as its users' apps do: with the real socket.io-client.
//
//   REALTIME_JWT_SECRET=… REALTIME_API_KEY=… node realtime.mjs http://127.0.0.1:3101
//
// The server has REALTIME_TYPING_TIMEOUT=10000.
//
// Prints `ok …` or `not ok …: why` for each check and ends with `N passed, M failed`.
// Makes its own tokens, users and channels, so it can run again and again on one server.

import { createHmac, randomUUID } from 'node:crypto'
import { io } from 'socket.io-client'
import { PATIENCE, assert, check, equal, finish, sleep, within } from './checks.mjs'

const url = process.argv[2]
const secret = process.env.REALTIME_JWT_SECRET
const key = process.env.REALTIME_API_KEY
if (!url || !secret || !key) {
  console.error('usage: REALTIME_JWT_SECRET=… REALTIME_API_KEY=… node realtime.mjs URL')
  process.exit(2)
}

// REALTIME_TYPING_TIMEOUT of the server, in milliseconds: far above what an event takes on a busy machine.
const TYPING_TIMEOUT = 10_000
const run = randomUUID().slice(0, 8)
const alice = `alice-${run}`
const bob = `bob-${run}`
const channel = `general-${run}`
const sockets = []

within(300, () => sockets.forEach((socket) => socket.disconnect()))

const base64url = (value) => Buffer.from(value).toString('base64url')

function sign(claims, { header = { alg: 'HS256', typ: 'JWT' }, key = secret, unsigned = false } = {}) {
  const message = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}`
  const code = createHmac('sha256', key).update(message).digest('base64url')
  return `${message}.${unsigned ? '' : code}`
}

const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds
const tokenFor = (user, more = {}) => sign({ sub: user, exp: inSeconds(600), ...more })

// Opens a socket that remembers every event in order.
function open(auth, options = {}) {
  const socket = io(url, { auth, forceNew: true, reconnection: false, transports: ['websocket'], timeout: PATIENCE, ...options })
  socket.log = []
  socket.onAny((event, payload) => socket.log.push({ event, payload }))
  sockets.push(socket)
  return socket
}

function connected(socket) {
  return new Promise((resolve, reject) => {
    if (socket.connected) return resolve(socket)
    socket.once('connect', () => resolve(socket))
    socket.once('connect_error', (error) => reject(new Error(`connect_error: ${error.message}`)))
  })
}

function refused(auth) {
  const socket = open(auth)
  return new Promise((resolve, reject) => {
    socket.once('connect', () => reject(new Error('it was let in')))
    socket.once('connect_error', (error) => resolve(error.message))
  })
}

// Waits for an event that fits, also among those that came already from `from` on.
async function event(socket, name, fits = () => true, { within = PATIENCE, from = 0 } = {}) {
  const until = Date.now() + within
  for (;;) {
    const found = socket.log.slice(from).find((entry) => entry.event === name && fits(entry.payload))
    if (found) return found.payload
    assert(Date.now() < until, `no fitting \`${name}\` within ${within} ms`)
    await sleep(10)
  }
}

const ask = (socket, name, payload) => socket.timeout(PATIENCE).emitWithAck(name, payload)

async function http(method, path, body, headers = {}) {
  const options = { method, headers: { 'X-API-Key': key, ...headers }, signal: AbortSignal.timeout(PATIENCE) }
  if (body !== undefined) {
    options.headers['Content-Type'] ??= 'application/json'
    options.body = typeof body === 'string' ? body : JSON.stringify(body)
  }
  const response = await fetch(`${url}${path}`, options)
  const text = await response.text()
  let json
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  return { status: response.status, headers: response.headers, text, json }
}

let a
let b

async function connecting() {
  await check('a token opens a websocket', async () => {
    a = await connected(open({ token: tokenFor(alice, { displayName: 'Alice' }), device: { type: 'web' } }))
    equal(a.io.engine.transport.name, 'websocket', 'the transport')
  })
  await check('polling connects and upgrades to a websocket', async () => {
    b = open({ token: tokenFor(bob), vocabulary: 'both' }, { transports: ['polling', 'websocket'] })
    const upgraded = new Promise((resolve) => b.io.engine.once('upgrade', resolve))
    await connected(b)
    await Promise.race([upgraded, sleep(PATIENCE).then(() => Promise.reject(new Error('no upgrade')))])
    equal(b.io.engine.transport.name, 'websocket', 'the transport')
  })
  await check('polling alone works too', async () => {
    const socket = await connected(open({ token: tokenFor(`poller-${run}`) }, { transports: ['polling'] }))
    const answer = await ask(socket, 'ping', { timestamp: 1 })
    equal(answer, { timestamp: 1 }, 'the acknowledgement')
    socket.disconnect()
  })
  await check('connected comes before authenticated', async () => {
    const authenticated = await event(a, 'authenticated')
    equal(authenticated.userId, alice, 'userId')
    assert(authenticated.sessionId, 'sessionId is missing')
    assert(authenticated.rooms.includes(`user:${alice}`), 'the own room is missing')
    const names = a.log.map((entry) => entry.event)
    assert(names.indexOf('connected') < names.indexOf('authenticated'), names.join(', '))
    const greeting = await event(a, 'connected')
    equal([greeting.socketId, greeting.protocolVersion], [a.id, '1.0'], 'the greeting')
    assert(!Number.isNaN(Date.parse(greeting.serverTime)), 'serverTime is no time')
  })
  await check('a newer token of the same user refreshes, another user\'s does not', async () => {
    const from = a.log.length
    equal((await ask(a, 'auth:refresh', { token: tokenFor(alice) })).success, true, 'success')
    await event(a, 'authenticated', () => true, { from })
    equal((await ask(a, 'auth:refresh', { token: tokenFor(bob) })).success, false, 'success')
    equal((await event(a, 'auth:error', () => true, { from })).code, 'USER_MISMATCH', 'code')
  })
}

async function ending() {
  await check('a token that ends is told and ends its socket, a renewed one stays', async () => {
    const short = (user) => sign({ sub: user, exp: inSeconds(6) })
    const lazy = await connected(open({ token: short(`lazy-${run}`) }))
    const busy = await connected(open({ token: short(`busy-${run}`) }))
    const ended = new Promise((resolve) => lazy.once('disconnect', resolve))
    for (const socket of [lazy, busy]) equal((await event(socket, 'auth:error')).code, 'AUTH_EXPIRED', 'code')
    equal((await ask(busy, 'auth:refresh', { token: tokenFor(`busy-${run}`) })).success, true, 'success')
    equal(await Promise.race([ended, sleep(PATIENCE)]), 'io server disconnect', 'the reason')
    equal(await ask(busy, 'ping', { timestamp: 7 }), { timestamp: 7 }, 'the ping of the renewed one')
    busy.disconnect()
  })
}

async function refusing() {
  const refusals = [
    ['no token', {}, 'Authentication required'],
    ['a text that is no token', { token: `user:${alice}` }, 'Invalid token'],
    ['a token of another secret', { token: sign({ sub: alice, exp: inSeconds(600) }, { key: 'another' }) }, 'Invalid token'],
    ['an expired token', { token: sign({ sub: alice, exp: inSeconds(-60) }) }, 'Invalid token'],
    ['a token without an end', { token: sign({ sub: alice }) }, 'Invalid token'],
    ['a token without a user', { token: sign({ exp: inSeconds(600) }) }, 'Invalid token'],
    [
      'an unsigned token with alg none',
      { token: sign({ sub: alice, exp: inSeconds(600) }, { header: { alg: 'none' }, unsigned: true }) },
      'Invalid token',
    ],
  ]
  for (const [what, auth, expected] of refusals) {
    await check(`${what} is refused`, async () => equal(await refused(auth), expected, 'the message'))
  }
}

async function rooms() {
  await check('a room comes to be when somebody joins it', async () => {
    const answer = await ask(a, 'room:join', { roomName: `channel:${channel}` })
    equal(answer.success, true, 'success')
    equal([answer.data.roomName, answer.data.memberCount], [`channel:${channel}`, 1], 'the room')
    equal(answer.data.members[0].userName, 'Alice', 'the member\'s name')
    equal(await event(a, 'room:joined'), { roomName: `channel:${channel}`, success: true }, 'room:joined')
  })
  await check('a bare channel id is the same room, in the words of channels', async () => {
    const answer = await ask(b, 'channel:join', { channelId: channel })
    equal([answer.success, answer.data.memberCount], [true, 2], 'the answer')
    equal(await event(b, 'channel:joined'), { channelId: channel, userId: bob }, 'channel:joined')
    const list = await event(b, 'channel:members')
    equal(list.members.map((member) => member.userId).sort(), [alice, bob].sort(), 'the members')
    const joined = await event(a, 'user:joined', (payload) => payload.userId === bob)
    assert(!Number.isNaN(Date.parse(joined.timestamp)), 'timestamp is no time')
  })
  await check('the room of another user is refused', async () => {
    const answer = await ask(a, 'room:join', { roomName: `user:${bob}` })
    equal([answer.success, answer.error.code], [false, 'FORBIDDEN'], 'the answer')
    equal((await event(a, 'error', (error) => error.code === 'FORBIDDEN')).code, 'FORBIDDEN', 'the event')
    const sent = await ask(a, 'message:send', { roomName: `user:${bob}`, content: 'forged' })
    equal([sent.success, sent.error.code], [false, 'FORBIDDEN'], 'sending into it')
  })
}

async function closedRooms() {
  const [eve, mine] = [await connected(open({ token: tokenFor(`eve-${run}`) })), `dm:ann${run}-ben${run}`]
  const ann = await connected(open({ token: tokenFor(`ann${run}`) }))
  const ben = await connected(open({ token: tokenFor(`ben${run}`) }))
  await check('a direct conversation is open to its two users', async () => {
    for (const socket of [ann, ben]) equal((await ask(socket, 'room:join', { roomName: mine })).success, true, 'success')
    equal((await ask(ann, 'message:send', { roomName: mine, content: 'my pin is 4711' })).success, true, 'success')
    await event(ben, 'message:new', (payload) => payload.content === 'my pin is 4711')
    const synced = await ask(ben, 'sync:messages', { channelId: mine, since: 0 })
    equal(synced.data.messages.map((message) => message.content), ['my pin is 4711'], 'sync:messages')
  })
  await check('nobody else joins, reads, writes or types in closed rooms, by socket', async () => {
    for (const room of [mine, 'dm:7', `user:ann${run}`, 'private-staff', 'thread:private-staff']) {
      for (const [name, payload] of [
        ['room:join', { roomName: room }],
        ['channel:join', { channelId: room }],
        ['message:send', { roomName: room, content: 'forged' }],
        ['message:send', { channelId: room, content: 'forged' }],
        ['sync:messages', { channelId: room, since: 0 }],
        ['typing', { channelId: room, isTyping: true }],
        ['typing:start', { roomName: room, roomType: 'dm' }],
        ['dispatch', { event: 'message:delete', room, payload: {} }],
      ]) {
        const answer = await ask(eve, name, payload)
        equal([answer.success, answer.error?.code], [false, 'FORBIDDEN'], `${name} ${room}`)
      }
    }
  })
  await check('closed rooms are as closed over HTTP', async () => {
    const token = { 'X-API-Key': '', Authorization: `Bearer ${tokenFor(`eve-${run}`)}` }
    const own = { 'X-API-Key': '', Authorization: `Bearer ${tokenFor(`ben${run}`)}` }
    for (const headers of [token, { 'X-API-Key': '' }]) {
      const body = { channelId: mine, userId: `eve-${run}`, content: 'forged' }
      const refused = [
        await http('GET', `/poll?channelId=${mine}&since=0`, undefined, headers),
        await http('GET', `/presence/${mine}`, undefined, headers),
        await http('POST', '/messages', body, headers),
        await http('POST', '/typing', { ...body, isTyping: true }, headers),
        await http('POST', '/presence', { ...body, status: 'away' }, headers),
      ]
      for (const { status, text } of refused) assert([401, 403].includes(status), `${status} ${text}`)
    }
    const polled = await http('GET', `/poll?channelId=${mine}&since=0`, undefined, own)
    equal(polled.json.messages.map((message) => message.content), ['my pin is 4711'], 'what a member polls')
    const forged = await http('POST', '/messages', { channelId: channel, userId: alice, content: 'forged' }, own)
    equal(forged.status, 403, 'a message in the name of another user')
    const honest = await http('POST', '/messages', { channelId: `own-${run}`, content: 'in my own name' }, own)
    equal([honest.status, honest.json.userId], [201, `ben${run}`], 'a message in the own name')
  })
  for (const socket of [eve, ann, ben]) socket.disconnect()
}

async function vocabularies() {
  const heard = async (auth, events) => {
    const socket = await connected(open({ token: tokenFor(`listener-${randomUUID()}`), ...auth }))
    for (const [name, payload] of events) await ask(socket, name, payload)
    return socket
  }
  await check('a socket hears one vocabulary once it is known which, and both until then', async () => {
    const room = `words-${run}`
    const join = ['channel:join', { channelId: room }]
    const unknown = await heard({}, [join])
    const rooms = await heard({}, [join, ['room:join', { roomName: room }]])
    const channels = await heard({}, [join, ['typing', { channelId: room, isTyping: false }]])
    const told = await heard({ vocabulary: 'channels' }, [join, ['room:join', { roomName: room }]])
    const mixed = await heard({}, [['typing', { channelId: room, isTyping: false }], ['room:join', { roomName: room }]])
    await http('POST', '/messages', { channelId: room, userId: alice, content: 'which words' })
    await http('POST', '/api/broadcast', { eventType: 'thread:created', rooms: [room], payload: { last: true } })
    const expected = [
      [unknown, ['message', 'message:new']],
      [rooms, ['message:new']],
      [channels, ['message']],
      [told, ['message']],
      [mixed, ['message', 'message:new']],
    ]
    for (const [index, [socket, names]] of expected.entries()) {
      await event(socket, 'thread:created')
      const got = socket.log.map((entry) => entry.event).filter((name) => name === 'message' || name === 'message:new')
      equal(got.sort(), names, `the words of socket ${index}`)
      socket.disconnect()
    }
  })
  await check('a message that is too long is refused with a clear error', async () => {
    const answer = await ask(a, 'message:send', { roomName: channel, content: 'x'.repeat(16_385) })
    equal([answer.success, answer.error.code], [false, 'INVALID_PAYLOAD'], 'the answer')
    assert(answer.error.details[0].message.includes('16384 bytes'), JSON.stringify(answer.error))
    const beside = await http('POST', '/messages', { channelId: channel, userId: alice, content: 'x', metadata: { a: 'x'.repeat(17_000) } })
    equal([beside.status, beside.json.details[0].field], [400, 'metadata'], 'metadata')
    equal((await ask(a, 'message:send', { roomName: channel, content: 'x'.repeat(16_384) })).success, true, 'the longest')
  })
  await check('an error of Engine.IO has its code as a number', async () => {
    const error = await http('GET', '/socket.io/?EIO=2&transport=polling')
    equal([error.status, error.json.code], [400, 5], 'the code')
  })
}

async function messages() {
  let answer
  await check('a message is acknowledged with its id and time', async () => {
    answer = await ask(a, 'message:send', { roomName: `channel:${channel}`, content: 'hello', metadata: { k: 1 } })
    equal(answer.success, true, 'success')
    assert(answer.data.messageId, 'messageId is missing')
    assert(!Number.isNaN(Date.parse(answer.data.sentAt)), 'sentAt is no time')
  })
  await check('the others get it as message:new and as message', async () => {
    const long = await event(b, 'message:new', (payload) => payload.id === answer.data.messageId)
    equal([long.messageId, long.roomName, long.channelId], [long.id, `channel:${channel}`, channel], 'the names')
    equal([long.userId, long.user.id, long.userName, long.content], [alice, alice, 'Alice', 'hello'], 'the sender')
    equal([long.type, long.metadata], ['text', { k: 1 }], 'type and metadata')
    const short = await event(b, 'message', (payload) => payload.id === answer.data.messageId)
    equal([short.channelId, short.userId, short.mentions], [channel, alice, []], 'message')
  })
  await check('the sender does not get it', async () => {
    await sleep(200)
    assert(!a.log.some((entry) => ['message', 'message:new'].includes(entry.event)), 'it came back')
  })
  await check('a client id comes back in the acknowledgement and in message:sent', async () => {
    const sent = await ask(a, 'message:send', { channelId: channel, content: 'two', mentions: [bob], clientMessageId: 'c-2' })
    equal(sent.data.clientMessageId, 'c-2', 'clientMessageId')
    equal((await event(a, 'message:sent')).messageId, sent.data.messageId, 'message:sent')
    const got = await event(b, 'message:new', (payload) => payload.content === 'two')
    equal([got.mentions, got.mentionedUserIds, got.clientMessageId], [[bob], [bob], 'c-2'], 'the message')
  })
  await check('the older form with a temporary id works', async () => {
    const sent = await ask(a, 'message:send', { tempId: 't-3', channelId: channel, content: 'three' })
    equal([sent.success, sent.data.clientMessageId], [true, 't-3'], 'the acknowledgement')
    equal((await event(b, 'message:new', (payload) => payload.content === 'three')).tempId, 't-3', 'tempId')
  })
  await check('messages arrive in the order they were sent', async () => {
    const texts = Array.from({ length: 50 }, (_, index) => `ordered ${index}`)
    for (const content of texts) a.emit('message:send', { channelId: channel, content })
    await event(b, 'message:new', (payload) => payload.content === texts.at(-1))
    const got = b.log.filter(({ event, payload }) => event === 'message:new' && payload.content.startsWith('ordered'))
    equal(got.map(({ payload }) => payload.content), texts, 'the order')
  })
  await check('history is synchronised', async () => {
    const synced = await ask(b, 'sync:messages', { channelId: channel, since: null, limit: 5 })
    equal([synced.success, synced.data.messages.length], [true, 5], 'the answer')
    assert(typeof synced.data.serverTime === 'number', 'serverTime is no number')
  })
}

async function typing() {
  const isOurs = (payload) => payload.roomName === channel
  let typedAt
  await check('typing:start reaches the others as typing:event and typing', async () => {
    typedAt = Date.now()
    a.emit('typing:start', { roomName: channel, roomType: 'channel' })
    const list = await event(b, 'typing:event', isOurs)
    equal([list.roomType, list.users.map((user) => user.userId)], ['channel', [alice]], 'the list')
    assert(!Number.isNaN(Date.parse(list.users[0].startedAt)), 'startedAt is no time')
    const one = await event(b, 'typing', (payload) => payload.userId === alice)
    equal([one.channelId, one.isTyping], [channel, true], 'typing')
  })
  await check('silence shrinks the list', async () => {
    await event(b, 'typing:event', (payload) => isOurs(payload) && payload.users.length === 0)
    assert(Date.now() - typedAt >= TYPING_TIMEOUT - 100, 'it ended too early')
    await event(b, 'typing', (payload) => payload.userId === alice && payload.isTyping === false)
  })
  await check('typing:stop shrinks it at once and the typist hears nothing', async () => {
    const from = b.log.length
    a.emit('typing', { channelId: channel, isTyping: true })
    a.emit('typing', { channelId: channel, isTyping: false })
    await event(b, 'typing:event', (payload) => payload.users.length === 0, { from, within: TYPING_TIMEOUT - 1_000 })
    assert(!a.log.some((entry) => entry.event.startsWith('typing')), 'the typist heard of it')
  })
}

async function presence() {
  await check('a status reaches those who share a room, in each vocabulary', async () => {
    const from = b.log.length
    a.emit('presence:update', { status: 'busy', customStatus: { text: 'writing', emoji: '✍️' } })
    const changed = await event(b, 'presence:changed', (payload) => payload.userId === alice, { from })
    equal([changed.status, changed.customStatus.text], ['busy', 'writing'], 'presence:changed')
    const old = await event(b, 'presence', (payload) => payload.userId === alice, { from })
    equal(old.status, 'dnd', 'presence')
  })
  await check('presence:get and presence:subscribe show it', async () => {
    const got = await ask(b, 'presence:get', { userIds: [alice, 'nobody'] })
    equal(got.data.presences.map((entry) => entry.status), ['busy', 'offline'], 'the answer')
    const from = b.log.length
    b.emit('presence:subscribe', { userIds: [alice, `carol-${run}`] })
    equal((await event(b, 'presence:bulk', () => true, { from })).presences.length, 2, 'presence:bulk')
  })
  await check('a user who shared a room is announced offline there after disconnecting', async () => {
    const user = `dave-${run}`
    const dave = await connected(open({ token: tokenFor(user) }))
    await ask(dave, 'room:join', { roomName: channel })
    const from = b.log.length
    dave.disconnect()
    await event(b, 'user:left', (payload) => payload.userId === user && payload.roomName === channel, { from })
    const isGone = (payload) => payload.userId === user && payload.status === 'offline'
    await event(b, 'presence:changed', isGone, { from })
    await event(b, 'presence', isGone, { from })
  })
  await check('a watched user who shares no room is announced, and offline after the last socket', async () => {
    const from = b.log.length
    const carol = await connected(open({ token: tokenFor(`carol-${run}`) }))
    const isCarol = (status) => (payload) => payload.userId === `carol-${run}` && payload.status === status
    await event(b, 'presence:changed', isCarol('online'), { from })
    carol.disconnect()
    const gone = await event(b, 'presence:changed', isCarol('offline'), { from })
    assert(!Number.isNaN(Date.parse(gone.lastSeen)), 'lastSeen is no time')
  })
}

async function robustness() {
  await check('a ping is acknowledged with the time that it carried, and with a pong', async () => {
    equal(await ask(a, 'ping', { timestamp: 123 }), { timestamp: 123 }, 'the acknowledgement')
    a.emit('ping')
    await event(a, 'pong', (payload) => payload.timestamp > 1_600_000_000_000)
  })
  const malformed = [
    ['room:join', undefined],
    ['room:join', null],
    ['room:join', { roomName: 7 }],
    ['room:join', { roomName: '' }],
    ['room:join', { roomName: 'x'.repeat(300) }],
    ['channel:join', 'general'],
    ['message:send', []],
    ['message:send', { channelId: channel }],
    ['message:send', { channelId: channel, content: { a: 1 } }],
    ['typing', { channelId: channel, isTyping: 'yes' }],
    ['presence:update', { status: 'asleep' }],
    ['presence:update', { status: 'away', customStatus: 7 }],
    ['presence:get', { userIds: 'alice' }],
    ['presence:subscribe', { userIds: [null] }],
    ['sync:messages', { channelId: channel, since: -1 }],
    ['dispatch', { event: 'connected', room: channel, payload: {} }],
    ['no:such:event', {}],
  ]
  await check('malformed payloads are answered with an error, and the connection stays', async () => {
    const socket = await connected(open({ token: tokenFor(`mallory-${run}`) }))
    for (const [name, payload] of malformed) {
      const args = payload === undefined ? [] : [payload]
      const answer = await socket.timeout(PATIENCE).emitWithAck(name, ...args)
      const what = `${name} ${JSON.stringify(payload)}`.slice(0, 60)
      assert(answer.success === false && answer.error.code && answer.error.message, `${what}: ${JSON.stringify(answer)}`)
    }
    const errors = socket.log.filter((entry) => entry.event === 'error')
    equal(errors.length, malformed.length, 'the number of error events')
    equal(await ask(socket, 'ping', { timestamp: 5 }), { timestamp: 5 }, 'the ping after it')
    socket.disconnect()
  })
  await check('binary, huge numbers and impossible times do no harm', async () => {
    const socket = await connected(open({ token: tokenFor(`binary-${run}`) }))
    const answer = await ask(socket, 'message:send', { channelId: channel, content: Buffer.from('x') })
    equal(answer.success, false, 'success')
    equal(await ask(socket, 'ping', { timestamp: 1e300 }), { timestamp: 1e300 }, 'the ping after it')
    for (const expiresAt of [Number.MAX_SAFE_INTEGER, 1e300, -1, '9999-12-31T23:59:59Z', 'never']) {
      const update = { status: 'away', customStatus: { text: `${expiresAt}`, expiresAt } }
      equal((await ask(socket, 'presence:update', update)).success, true, `success of ${expiresAt}`)
    }
    socket.disconnect()
  })
  await check('a packet of more than a megabyte ends only its own connection', async () => {
    const socket = await connected(open({ token: tokenFor(`giant-${run}`) }))
    const ended = new Promise((resolve) => socket.once('disconnect', resolve))
    socket.emit('message:send', { channelId: channel, content: 'x'.repeat(1_100_000) })
    await Promise.race([ended, sleep(PATIENCE).then(() => Promise.reject(new Error('it stayed open')))])
    equal(await ask(a, 'ping', { timestamp: 6 }), { timestamp: 6 }, 'the ping of another socket')
  })
  await check('too many events of one kind are refused, others go on', async () => {
    const socket = await connected(open({ token: tokenFor(`flood-${run}`) }))
    for (let sent = 0; sent < 120; sent += 1) socket.emit('typing', { channelId: channel, isTyping: true })
    await event(socket, 'error', (error) => error.code === 'RATE_LIMITED')
    equal((await ask(socket, 'message:send', { channelId: channel, content: 'still here' })).success, true, 'success')
    socket.disconnect()
  })
  await check('leaving is told to the room', async () => {
    const from = b.log.length
    equal((await ask(a, 'room:leave', { roomName: channel })).success, true, 'success')
    await event(b, 'user:left', (payload) => payload.userId === alice, { from })
    b.emit('channel:leave', { channelId: channel })
    equal(await event(b, 'channel:left', () => true, { from }), { channelId: channel, userId: alice }, 'channel:left')
    await event(b, 'channel:left', (payload) => payload.userId === bob, { from })
  })
}

async function requests() {
  await check('/health has its fields, ten at once', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => http('GET', '/health')))
    const { status, json } = answers[0]
    equal([status, json.status, json.service], [200, 'healthy', 'realtime'], 'the state')
    assert(/^\d+\.\d+\.\d+$/.test(json.version), `version is ${json.version}`)
    assert(typeof json.uptime === 'number', 'uptime is no number')
    assert(json.websocket.running === true && json.websocket.connections >= 2, JSON.stringify(json.websocket))
    equal(json.dependencies.redis.status, 'not configured', 'redis')
  })
  await check('/ready and /live answer', async () => {
    const ready = await http('GET', '/ready')
    equal([ready.status, ready.json.ready, ready.json.plugin], [200, true, 'realtime'], '/ready')
    const live = await http('GET', '/live')
    equal([live.status, live.json.alive], [200, true], '/live')
  })
  await check('/metrics has the promised names', async () => {
    const { status, headers, text } = await http('GET', '/metrics')
    equal(status, 200, 'the status')
    assert(headers.get('content-type').startsWith('text/plain; version=0.0.4'), headers.get('content-type'))
    for (const line of [
      '# TYPE realtime_connections_total gauge',
      '# TYPE realtime_messages_total counter',
      '# TYPE realtime_presence_updates_total counter',
      '# TYPE realtime_latency_ms histogram',
      '# TYPE http_request_duration_seconds histogram',
      '# TYPE realtime_errors_total counter',
    ]) {
      assert(text.includes(line), `${line} is missing`)
    }
  })
  await check('unknown routes and methods are answered in JSON', async () => {
    const missing = await http('GET', '/no/such/route')
    equal([missing.status, typeof missing.json?.error], [404, 'string'], 'the unknown route')
    const method = await http('DELETE', '/messages')
    equal([method.status, typeof method.json?.error], [405, 'string'], 'the wrong method')
  })
  await check('POST /typing names the missing fields', async () => {
    const { status, json } = await http('POST', '/typing', {})
    equal(status, 400, 'the status')
    equal(json.details.map((detail) => detail.field).sort(), ['channelId', 'isTyping', 'userId'], 'details')
  })
  await check('bodies that are no JSON, of another type or too large are refused', async () => {
    equal((await http('POST', '/messages', '{"a":')).status, 400, 'broken JSON')
    equal((await http('POST', '/messages', '{}', { 'Content-Type': 'text/plain' })).status, 415, 'plain text')
    const large = await http('POST', '/messages', { content: 'x'.repeat(1_100_000) })
    equal([large.status, large.json?.maxSize], [413, 1_000_000], 'a large body')
  })
}

async function restRoutes() {
  await check('a message over HTTP reaches sockets and is polled', async () => {
    await ask(b, 'room:join', { roomName: channel })
    const since = Date.now() - 1
    const attachments = [{ id: 'f1' }, { id: 'f2' }]
    const body = { channelId: channel, userId: alice, content: 'over http', mentions: [], attachments }
    const stored = await http('POST', '/messages', body)
    equal([stored.status, stored.json.attachments.length, stored.json.content], [201, 2, 'over http'], 'the answer')
    await event(b, 'message', (payload) => payload.id === stored.json.id)
    const polled = await http('GET', `/poll?channelId=${channel}&since=${since}`)
    assert(polled.json.messages.some((message) => message.id === stored.json.id), 'it is not polled')
    const later = await http('GET', `/poll?channelId=${channel}&since=${polled.json.timestamp}`)
    equal([later.json.messages, later.json.timestamp], [[], polled.json.timestamp], 'what comes after the cursor')
  })
  await check('presence over HTTP is stored, shown and counted', async () => {
    for (const status of ['online', 'away', 'offline', 'dnd']) {
      const stored = await http('POST', `/presence/${channel}`, { userId: `dora-${run}`, status })
      equal([stored.status, stored.json.success], [200, true], status)
    }
    const { json } = await http('GET', `/presence/${channel}`)
    equal(json.channelId, channel, 'channelId')
    equal(json.users.find((user) => user.userId === `dora-${run}`).status, 'dnd', 'the user')
    equal(Object.keys(json.count).sort(), ['away', 'dnd', 'offline', 'online'].sort(), 'the counts')
    const plain = await http('POST', '/presence', { userId: `dora-${run}`, channelId: channel, status: 'online' })
    equal(plain.status, 200, 'POST /presence')
  })
  await check('typing over HTTP is limited a user, presence stays free', async () => {
    const user = `eve-${run}`
    const body = { userId: user, channelId: channel, isTyping: true }
    const answers = await Promise.all(Array.from({ length: 150 }, () => http('POST', '/typing', body)))
    const limited = answers.filter((answer) => answer.status === 429)
    equal(limited.length, 50, 'the number of refusals')
    for (const name of ['retry-after', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']) {
      assert(limited[0].headers.get(name) !== null, `${name} is missing`)
    }
    equal((await http('POST', '/presence', { userId: user, channelId: channel, status: 'away' })).status, 200, 'presence')
  })
  await check('a broadcast reaches a room and counts its sockets', async () => {
    const event1 = { eventType: 'thread:created', rooms: [`channel:${channel}`], payload: { id: 1 }, eventId: 'e-1' }
    const { status, json } = await http('POST', '/api/broadcast', event1)
    equal([status, json], [200, { eventId: 'e-1', recipientCount: 1, success: true }], 'the answer')
    equal(await event(b, 'thread:created'), { id: 1 }, 'the payload')
    const batch = { events: [{ eventType: 'thread:update', roomNames: [channel], payload: { id: 2 } }] }
    equal((await http('POST', '/api/broadcast/batch', batch)).json.processed, 1, 'processed')
    equal(await event(b, 'thread:update'), { id: 2 }, 'the payload of the batch')
  })
  await check('the other name of broadcast, and what operators may see, are there', async () => {
    const sent = await http('POST', '/broadcast', { eventType: 'thread:created', rooms: [channel], payload: { id: 3 } })
    equal([sent.status, sent.json.recipientCount], [200, 1], 'the answer')
    await event(b, 'thread:created', (payload) => payload.id === 3)
    const state = await http('GET', '/status')
    equal([state.status, state.json.plugin, state.json.status], [200, 'realtime', 'running'], '/status')
    assert(state.json.stats.connections >= 1 && state.json.stats.rooms >= 1, JSON.stringify(state.json.stats))
    for (const path of ['/rooms', '/connections']) {
      equal((await http('GET', path)).status, 200, path)
      const answer = await http('GET', path, undefined, { 'X-API-Key': '' })
      assert(answer.status === 401 && answer.json.error.includes('REALTIME_API_KEY'), `${path}: ${answer.text}`)
    }
    const channels = await ask(b, 'sync:channels', { since: null })
    equal(channels.data.channels, [], 'sync:channels')
  })
  await check('a page of an allowed origin may ask, of another may not', async () => {
    const allowed = await http('GET', '/health', undefined, { Origin: 'http://localhost:3000' })
    equal(allowed.headers.get('access-control-allow-origin'), 'http://localhost:3000', 'the allowed origin')
    equal(allowed.headers.get('access-control-allow-credentials'), 'true', 'credentials')
    const other = await http('GET', '/health', undefined, { Origin: 'http://evil.example' })
    equal(other.headers.get('access-control-allow-origin'), null, 'the other origin')
  })
}

for (const part of [connecting, ending, refusing, rooms, closedRooms, vocabularies, messages, typing, presence, robustness, requests, restRoutes]) {
  await part()
}
await finish()
