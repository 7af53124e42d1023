// Starts two realtime servers and a Redis of its own, talks to both with the real socket.io-client, and takes Redis and
// a server away.
//
//   node realtime-two.mjs PROGRAM
//
// PROGRAM is the server's program. Needs Debian's redis-server (its package redis-tools holds it as redis-check-rdb) and
// promtool. Prints `ok …` or `not ok …: why` for each check and ends with `N passed, M failed`.

import { createHmac } from 'node:crypto'
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { io } from 'socket.io-client'
import { PATIENCE, assert, check, equal, eventually, finish, freePort, sleep as pause, within } from './checks.mjs'

const [program] = process.argv.slice(2)
if (!program) {
  console.error('usage: node realtime-two.mjs PROGRAM')
  process.exit(2)
}

const secret = 'the secret of these two servers, 32 bytes and more'
const key = 'the key of these two servers'
const root = mkdtempSync(join(tmpdir(), 'realtime-two-'))
const children = new Set()
const sockets = []

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(root, { recursive: true, force: true })
})
within(300, () => sockets.forEach((socket) => socket.disconnect()))

function launch(path, words, options) {
  const child = spawn(path, words, options)
  children.add(child)
  const ended = new Promise((resolve) => child.on('exit', (code) => (children.delete(child), resolve(code))))
  return { child, stop: (signal = 'SIGKILL') => (child.kill(signal), ended) }
}

symlinkSync('/usr/bin/redis-check-rdb', join(root, 'redis-server'))
symlinkSync('/usr/bin/redis-cli', join(root, 'cli'))
const redisPort = await freePort()
let redis

async function startRedis() {
  const words = ['--port', redisPort, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'yes', '--dir', root]
  redis = launch(join(root, 'redis-server'), words.map(String), { stdio: 'ignore' })
  await pause(200)
}

async function startServer(settings = {}) {
  const port = await freePort()
  const env = {
    REALTIME_PORT: String(port),
    REALTIME_JWT_SECRET: secret,
    REALTIME_API_KEY: key,
    REALTIME_REDIS_URL: `redis://127.0.0.1:${redisPort}/0`,
    REALTIME_INSTANCE_TIMEOUT: '12000',
    REALTIME_TYPING_TIMEOUT: '10000',
    REALTIME_PRESENCE_GRACE: '500',
    LOG_LEVEL: 'warn',
    ...settings,
  }
  const { child, stop } = launch(program, [], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const server = { url: `http://127.0.0.1:${port}`, child, stop }
  await eventually('an answer', async () => (await fetch(`${server.url}/live`)).ok)
  return server
}

const base64url = (value) => Buffer.from(value).toString('base64url')

function tokenFor(user, seconds = 600) {
  const claims = { sub: user, displayName: user.toUpperCase(), exp: Math.floor(Date.now() / 1000) + seconds }
  const message = `${base64url('{"alg":"HS256","typ":"JWT"}')}.${base64url(JSON.stringify(claims))}`
  return `${message}.${createHmac('sha256', secret).update(message).digest('base64url')}`
}

// Opens a socket that remembers every event in order.
function open(server, user, token = tokenFor(user)) {
  const socket = io(server.url, { auth: { token, vocabulary: 'both' }, forceNew: true, reconnection: false, transports: ['websocket'] })
  socket.log = []
  socket.onAny((event, payload) => socket.log.push({ event, payload }))
  sockets.push(socket)
  return new Promise((resolve, reject) => {
    socket.once('authenticated', () => resolve(socket))
    socket.once('connect_error', (error) => reject(new Error(`connect_error: ${error.message}`)))
  })
}

const found = (socket, name, fits, from = 0) =>
  socket.log.slice(from).filter((entry) => entry.event === name && fits(entry.payload)).map((entry) => entry.payload)

async function event(socket, name, fits = () => true, { from = 0, within = PATIENCE } = {}) {
  await eventually(`\`${name}\``, () => found(socket, name, fits, from).length > 0, within)
  return found(socket, name, fits, from)[0]
}

const ask = (socket, name, payload) => socket.timeout(PATIENCE).emitWithAck(name, payload)

async function http(server, method, path, body) {
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  const answer = await fetch(server.url + path, { method, headers, body: body && JSON.stringify(body) })
  return { status: answer.status, body: await answer.json() }
}

const health = async (server) => (await http(server, 'GET', '/health')).body
const knows = (server, instances) => async () => {
  const { status, dependencies } = await health(server)
  return status === 'healthy' && dependencies.redis.instances === instances
}

await startRedis()
let one = await startServer()
let two = await startServer()
let alice
let bob

async function meeting() {
  await check('two servers find each other and are healthy', async () => {
    await eventually('both', knows(one, 2))
    await eventually('both', knows(two, 2))
    const { dependencies } = await health(one)
    equal([dependencies.redis.status, dependencies.redis.dropped], ['connected', 0], 'redis')
    assert(typeof dependencies.redis.latency === 'number', 'latency is no number')
  })
  await check('a room spans both servers', async () => {
    alice = await open(one, 'alice')
    const first = await ask(alice, 'room:join', { roomName: 'channel:general' })
    equal([first.success, first.data.memberCount], [true, 1], 'the first answer')
    bob = await open(two, 'bob')
    await eventually('two members', async () => {
      const second = await ask(bob, 'room:join', { roomName: 'general' })
      return second.data.memberCount === 2 && second.data.members.some((member) => member.userName === 'ALICE')
    })
    const joined = await event(alice, 'user:joined', (payload) => payload.userId === 'bob')
    equal([joined.roomName, joined.userName], ['general', 'BOB'], 'user:joined')
    equal((await event(alice, 'channel:joined', (payload) => payload.userId === 'bob')).channelId, 'general', 'channelId')
    await ask(bob, 'channel:join', { channelId: 'general' })
    const list = await event(bob, 'channel:members')
    equal(list.members.map((member) => member.userId).sort(), ['alice', 'bob'], 'channel:members')
    assert(list.members.every((member) => !Number.isNaN(Date.parse(member.joinedAt))), 'joinedAt is no time')
  })
  await check('who joins twice is announced once', async () => {
    equal(found(alice, 'user:joined', (payload) => payload.userId === 'bob').length, 1, 'the number of user:joined')
  })
}

async function messages() {
  let sent
  await check('a message reaches the other server in both vocabularies, in order and once', async () => {
    const texts = Array.from({ length: 40 }, (_, index) => `text ${index}`)
    for (const content of texts) sent = await ask(alice, 'message:send', { channelId: 'general', content })
    await event(bob, 'message:new', (payload) => payload.content === texts.at(-1))
    equal(found(bob, 'message:new', () => true).map((payload) => payload.content), texts, 'message:new')
    await event(bob, 'message', (payload) => payload.id === sent.data.messageId)
    equal(found(bob, 'message', () => true).length, texts.length, 'the number of `message`')
    equal(found(alice, 'message:new', () => true), [], 'what came back to the sender')
  })
  await check('a message over HTTP reaches both servers', async () => {
    const body = { channelId: 'general', userId: 'robot', content: 'over http' }
    equal((await http(two, 'POST', '/messages', body)).status, 201, 'the status')
    for (const socket of [alice, bob]) await event(socket, 'message:new', (payload) => payload.content === 'over http')
  })
  await check('the history is shared, by poll and by sync:messages', async () => {
    const { body } = await http(two, 'GET', '/poll?channelId=general&since=0')
    equal(body.messages.length, 41, 'the number of messages')
    const last = await ask(bob, 'sync:messages', { channelId: 'general', since: null, limit: 5 })
    equal(last.data.messages.map((message) => message.content).at(-1), 'over http', 'the last message')
    equal(last.data.messages.length, 5, 'the number of messages')
  })
  await check('a server that comes later knows members, presence and history', async () => {
    const three = await startServer()
    await eventually('three', knows(three, 3))
    const { body } = await http(three, 'GET', '/poll?channelId=general&since=0')
    equal(body.messages.length, 41, 'the number of messages')
    equal(body.messages[0].content, 'text 0', 'the first message')
    const carol = await open(three, 'carol')
    const got = await ask(carol, 'presence:get', { userIds: ['alice', 'bob', 'nobody'] })
    equal(got.data.presences.map((entry) => entry.status), ['online', 'online', 'offline'], 'presence:get')
    equal((await ask(carol, 'room:join', { roomName: 'general' })).data.memberCount, 3, 'memberCount')
    equal((await ask(carol, 'sync:channels', { since: null })).data.channels, [], 'sync:channels')
    const from = alice.log.length
    equal(await three.stop('SIGTERM'), 0, 'the exit code')
    await event(alice, 'user:left', (payload) => payload.userId === 'carol', { from })
    await eventually('two', knows(one, 2), 9_000)
    await event(bob, 'presence:changed', (payload) => payload.userId === 'carol' && payload.status === 'offline')
  })
}

async function typing() {
  await check('the list of typists spans both servers and shrinks by itself', async () => {
    const from = alice.log.length
    bob.emit('typing:start', { roomName: 'general', roomType: 'channel' })
    await event(alice, 'typing', (payload) => payload.userId === 'bob' && payload.isTyping, { from })
    alice.emit('typing:start', { roomName: 'general', roomType: 'channel' })
    const list = await event(bob, 'typing:event', (payload) => payload.users.length === 2)
    equal(list.users.map((user) => user.userId).sort(), ['alice', 'bob'], 'the typists')
    // The one who started last is the last to fall silent.
    await event(alice, 'typing', (payload) => payload.userId === 'bob' && !payload.isTyping, { from })
    await event(bob, 'typing:event', (payload) => payload.users.length === 0)
    assert(!found(bob, 'typing', (payload) => payload.userId === 'bob').length, 'a typist hears of their own typing')
  })
  await check('typing:stop crosses at once, and a direct message\'s recipient hears anywhere', async () => {
    const from = bob.log.length
    alice.emit('typing', { channelId: 'general', isTyping: true })
    alice.emit('typing', { channelId: 'general', isTyping: false })
    await event(bob, 'typing', (payload) => payload.userId === 'alice' && !payload.isTyping, { from, within: 9_000 })
    alice.emit('typing:start', { roomName: 'dm-7', roomType: 'dm', recipientId: 'bob' })
    await event(bob, 'typing:event', (payload) => payload.roomName === 'dm-7', { from })
  })
}

async function presence() {
  await check('a status crosses, in each vocabulary, and to those who watch', async () => {
    const watcher = await open(two, 'watcher')
    await ask(watcher, 'presence:subscribe', { userIds: ['alice'] })
    equal((await event(watcher, 'presence:bulk')).presences[0].status, 'online', 'presence:bulk')
    alice.emit('presence:update', { status: 'busy', customStatus: { text: 'writing' } })
    for (const socket of [bob, watcher]) {
      const changed = await event(socket, 'presence:changed', (payload) => payload.status === 'busy')
      equal([changed.userId, changed.customStatus.text], ['alice', 'writing'], 'presence:changed')
      equal((await event(socket, 'presence', (payload) => payload.status === 'dnd')).userId, 'alice', 'presence')
    }
    equal((await ask(bob, 'presence:get', { userIds: ['alice'] })).data.presences[0].status, 'busy', 'presence:get')
  })
  await check('a user with sockets on both servers goes offline with the last of them', async () => {
    const [left, right] = [await open(one, 'dora'), await open(two, 'dora')]
    await ask(left, 'room:join', { roomName: 'general' })
    await ask(right, 'room:join', { roomName: 'general' })
    await event(bob, 'user:joined', (payload) => payload.userId === 'dora')
    await pause(300)
    equal(found(bob, 'user:joined', (payload) => payload.userId === 'dora').length, 1, 'the number of user:joined')
    left.disconnect()
    await pause(1500)
    const isGone = (payload) => payload.userId === 'dora' && payload.status === 'offline'
    const hasLeft = (payload) => payload.userId === 'dora'
    for (const socket of [alice, bob]) {
      equal(found(socket, 'presence:changed', isGone), [], 'offline too early')
      equal(found(socket, 'user:left', hasLeft), [], 'gone too early')
    }
    right.disconnect()
    for (const socket of [alice, bob]) {
      await event(socket, 'user:left', hasLeft)
      await event(socket, 'presence:changed', isGone)
    }
  })
  await check('presence over HTTP is known on both servers', async () => {
    await http(one, 'POST', '/presence/general', { userId: 'erin', status: 'away' })
    await eventually('erin', async () => {
      const { body } = await http(two, 'GET', '/presence/general')
      return body.users.some((user) => user.userId === 'erin' && user.status === 'away') && body.count.online >= 1
    })
  })
}

async function broadcasts() {
  await check('a broadcast reaches both servers, and a user wherever they are', async () => {
    const answer = await http(one, 'POST', '/api/broadcast', { eventType: 'thread:created', rooms: ['general'], payload: { id: 1 } })
    equal([answer.status, answer.body.recipientCount], [200, 2], 'the answer')
    for (const socket of [alice, bob]) equal(await event(socket, 'thread:created'), { id: 1 }, 'the payload')
    const own = await http(one, 'POST', '/broadcast', { eventType: 'notification', rooms: ['user:bob'], payload: { id: 2 } })
    equal(own.body.recipientCount, 1, 'recipientCount')
    equal(await event(bob, 'notification'), { id: 2 }, 'the payload')
    const batch = { events: [{ eventType: 'thread:update', roomNames: ['general'], payload: { id: 3 } }] }
    equal((await http(two, 'POST', '/api/broadcast/batch', batch)).status, 200, 'the status of a batch')
    equal(await event(alice, 'thread:update'), { id: 3 }, 'the payload of a batch')
  })
  await check('dispatch crosses and does not come back', async () => {
    const answer = await ask(alice, 'dispatch', { event: 'reaction:add', room: 'general', payload: { emoji: '👍' } })
    equal(answer.success, true, 'success')
    equal(await event(bob, 'reaction:add'), { emoji: '👍' }, 'the payload')
    await pause(200)
    equal(found(alice, 'reaction:add', () => true), [], 'what came back')
  })
  await check('operators see rooms and sockets, and end one', async () => {
    const { body } = await http(one, 'GET', '/rooms')
    equal(body.rooms.find((room) => room.roomName === 'channel:general').memberCount, 2, 'memberCount')
    const gone = await open(one, 'frank')
    const list = (await http(one, 'GET', '/connections')).body.connections
    equal(list.find((entry) => entry.userId === 'frank').id, gone.id, 'id')
    const ended = new Promise((resolve) => gone.once('disconnect', resolve))
    equal((await http(one, 'DELETE', `/connections/${gone.id}`)).status, 200, 'the status')
    equal(await ended, 'io server disconnect', 'the reason')
    equal((await http(one, 'DELETE', `/connections/${gone.id}`)).status, 404, 'the second time')
    equal((await http(one, 'GET', '/status')).body.stats.instances, 2, 'instances')
    equal((await fetch(`${one.url}/rooms`)).status, 401, 'without the key')
  })
}

async function pollers() {
  await check('a tight poller on each server misses none of 1,200 messages, sent as fast as both take them', async () => {
    const busy = await Promise.all([startServer({ REALTIME_RATE_LIMIT_ENABLED: 'false' }), startServer({ REALTIME_RATE_LIMIT_ENABLED: 'false' })])
    const total = 1_200
    const poll = async (server) => {
      let [since, got, idle] = [0, [], 0]
      while (got.length < total && idle < 400) {
        const { body } = await http(server, 'GET', `/poll?channelId=busy&since=${since}`)
        since = body.timestamp
        got.push(...body.messages.map((message) => message.content))
        idle = body.messages.length ? 0 : idle + 1
        if (!body.messages.length) await pause(10)
      }
      return got
    }
    const following = busy.map(poll)
    const send = async (part) => {
      for (let index = part; index < total; index += 6) {
        const body = { channelId: 'busy', userId: `sender-${part}`, content: `${index}` }
        equal((await http(busy[part % 2], 'POST', '/messages', body)).status, 201, 'the status')
      }
    }
    await Promise.all([0, 1, 2, 3, 4, 5].map(send))
    for (const got of await Promise.all(following)) {
      equal([got.length, new Set(got).size], [total, total], 'messages polled, and how many of them differ')
    }
    await Promise.all(busy.map((server) => server.stop('SIGTERM')))
    await eventually('two', knows(one, 2))
  })
}

async function slowReaders() {
  await check('a socket that does not read is disconnected with the reason, and finds what it missed', async () => {
    const lazy = await open(one, 'lazybones')
    await ask(lazy, 'room:join', { roomName: 'flood' })
    const { data } = await ask(lazy, 'sync:messages', { channelId: 'flood', since: null })
    const ended = new Promise((resolve) => lazy.once('disconnect', resolve))
    lazy.io.engine.transport.ws._socket.pause()
    await http(one, 'POST', '/messages', { channelId: 'flood', userId: 'robot', content: 'missed' })
    const events = Array.from({ length: 50 }, () => ({ eventType: 'thread:update', roomNames: ['flood'], payload: 'x'.repeat(15_000) }))
    const slow = async () => Number(/^realtime_slow_readers_total (\d+)/m.exec(await (await fetch(`${one.url}/metrics`)).text())[1])
    for (let round = 0; round < 60 && (await slow()) === 0; round++) await http(one, 'POST', '/api/broadcast/batch', { events })
    equal(await slow(), 1, 'sockets that were too slow')
    lazy.io.engine.transport.ws._socket.resume()
    equal(await Promise.race([ended, pause(PATIENCE)]), 'io server disconnect', 'the reason')
    equal(found(lazy, 'error', (error) => error.code === 'SLOW_READER').length, 1, 'how often it was told')
    const again = await open(one, 'lazybones')
    const missed = await ask(again, 'sync:messages', { channelId: 'flood', since: data.cursor })
    equal(missed.data.messages.map((message) => message.content), ['missed'], 'what it asks for')
    again.disconnect()
  })
}

async function tokens() {
  await check('a token that ends is told, then ends the socket; a renewed one goes on', async () => {
    const [lazy, busy] = [await open(one, 'lazy', tokenFor('lazy', 6)), await open(one, 'busy', tokenFor('busy', 6))]
    const ended = new Promise((resolve) => lazy.once('disconnect', resolve))
    equal((await event(busy, 'auth:error')).code, 'AUTH_EXPIRED', 'code')
    equal((await ask(busy, 'auth:refresh', { token: tokenFor('busy') })).success, true, 'success')
    equal((await event(lazy, 'auth:error')).code, 'AUTH_EXPIRED', 'code')
    equal(await Promise.race([ended, pause(PATIENCE)]), 'io server disconnect', 'the reason')
    assert(busy.connected, 'the renewed one was ended too')
    busy.disconnect()
  })
}

async function outage() {
  await check('without Redis local delivery goes on and health is degraded', async () => {
    await redis.stop()
    await eventually('degraded', async () => (await health(one)).status === 'degraded')
    await eventually('degraded', async () => (await health(two)).status === 'degraded')
    const response = await fetch(`${one.url}/health`)
    const body = await response.json()
    equal([response.status, body.dependencies.redis.status], [200, 'disconnected'], 'health')
    assert(body.error.includes(`127.0.0.1:${redisPort}`), body.error)
    equal((await fetch(`${one.url}/ready`)).status, 200, '/ready')
    const neighbour = await open(one, 'neighbour')
    await ask(neighbour, 'room:join', { roomName: 'general' })
    equal((await ask(alice, 'message:send', { channelId: 'general', content: 'in the dark' })).success, true, 'success')
    await event(neighbour, 'message:new', (payload) => payload.content === 'in the dark')
    const synced = await ask(neighbour, 'sync:messages', { channelId: 'general', since: null, limit: 1 })
    equal(synced.data.messages[0].content, 'in the dark', 'sync:messages')
    const members = await ask(bob, 'presence:get', { userIds: ['alice'] })
    equal(members.data.presences[0].status, 'busy', 'what was known before')
  })
  await check('what was accepted meanwhile arrives when Redis is back, once', async () => {
    await http(one, 'POST', '/api/broadcast', { eventType: 'thread:created', rooms: ['general'], payload: { id: 9 } })
    await startRedis()
    for (const server of [one, two]) await eventually('healthy', knows(server, 2))
    await event(bob, 'message:new', (payload) => payload.content === 'in the dark')
    await event(bob, 'thread:created', (payload) => payload.id === 9)
    await event(bob, 'user:joined', (payload) => payload.userId === 'neighbour')
    await ask(bob, 'message:send', { channelId: 'general', content: 'light again' })
    await event(alice, 'message:new', (payload) => payload.content === 'light again')
    equal(found(bob, 'message:new', (payload) => payload.content === 'in the dark').length, 1, 'how often it came')
    const { body } = await http(two, 'GET', '/poll?channelId=general&since=0')
    const texts = body.messages.map((message) => message.content)
    equal(texts.slice(-2), ['in the dark', 'light again'], 'the history')
    equal(texts.length, 43, 'the number of messages')
  })
  await check('messages that are sent while connections to Redis break arrive in order and once', async () => {
    const texts = []
    for (let round = 0; round < 6; round++) {
      await new Promise((done) => execFile(join(root, 'cli'), ['-p', String(redisPort), 'client', 'kill', 'type', 'pubsub'], done))
      for (let index = 0; index < 5; index++) {
        texts.push(`round ${round}, ${index}`)
        const answer = await ask(alice, 'message:send', { channelId: 'general', content: texts.at(-1) })
        equal(answer.success, true, 'success')
        await pause(150)
      }
    }
    await event(bob, 'message:new', (payload) => payload.content === texts.at(-1))
    const got = found(bob, 'message:new', (payload) => payload.content.startsWith('round'))
    equal(got.map((payload) => payload.content), texts, 'what came')
    for (const server of [one, two]) await eventually('healthy', knows(server, 2))
  })
  await check('a Redis that hangs is noticed and recovered from', async () => {
    redis.child.kill('SIGSTOP')
    await eventually('degraded', async () => (await health(one)).status === 'degraded')
    equal((await ask(alice, 'message:send', { channelId: 'general', content: 'slow' })).success, true, 'success')
    redis.child.kill('SIGCONT')
    for (const server of [one, two]) await eventually('healthy', knows(server, 2))
    await event(bob, 'message:new', (payload) => payload.content === 'slow')
    equal(found(bob, 'message:new', (payload) => payload.content === 'slow').length, 1, 'how often it came')
  })
  await check('rubbish on the channel does no harm', async () => {
    const errors = async () => Number(/^realtime_errors_total (\d+)/m.exec(await (await fetch(`${one.url}/metrics`)).text())[1])
    const before = await errors()
    const say = (text) => launch(join(root, 'cli'), ['-p', String(redisPort), 'publish', 'nself:realtime:events:0', text], { stdio: 'ignore' })
    say('no JSON')
    say('{"version":99,"from":"00000000-0000-0000-0000-000000000000","number":null,"says":"Hello"}')
    await eventually('both counted', async () => (await errors()) >= before + 2)
    await ask(alice, 'message:send', { channelId: 'general', content: 'unharmed' })
    await event(bob, 'message:new', (payload) => payload.content === 'unharmed')
  })
}

async function death() {
  await check('promtool finds nothing in the metrics but names that others fixed', async () => {
    const text = await (await fetch(`${one.url}/metrics`)).text()
    const complaints = await new Promise((resolve) => {
      const tool = execFile('promtool', ['check', 'metrics'], (error, out, err) => resolve(error?.code === 'ENOENT' ? 'no promtool' : out + err))
      tool.stdin.end(text)
    })
    const fixed = [
      /^realtime_connections_total non-counter metrics should not have "_total" suffix/,
      /^realtime_latency_ms (use base unit|metric names should not contain abbreviated units)/,
    ]
    const others = complaints.split('\n').filter((line) => line && !fixed.some((pattern) => pattern.test(line)))
    equal(others, [], 'what promtool says')
  })
  await check('the users of a server that is killed go offline, and it is forgotten', async () => {
    const from = bob.log.length
    await one.stop('SIGKILL')
    await event(bob, 'user:left', (payload) => payload.userId === 'alice', { from })
    const gone = await event(bob, 'presence:changed', (payload) => payload.userId === 'alice' && payload.status === 'offline', { from })
    assert(!Number.isNaN(Date.parse(gone.lastSeen)), 'lastSeen is no time')
    await eventually('one instance', knows(two, 1))
    const list = await ask(bob, 'room:join', { roomName: 'general' })
    equal(list.data.memberCount, 1, 'memberCount')
    equal((await ask(bob, 'presence:get', { userIds: ['alice'] })).data.presences[0].status, 'offline', 'presence:get')
  })
  await check('another server in its place is part of it again', async () => {
    one = await startServer()
    for (const server of [one, two]) await eventually('two', knows(server, 2))
    alice = await open(one, 'alice')
    const joined = await ask(alice, 'room:join', { roomName: 'general' })
    equal(joined.data.memberCount, 2, 'memberCount')
    await ask(bob, 'message:send', { channelId: 'general', content: 'welcome back' })
    await event(alice, 'message:new', (payload) => payload.content === 'welcome back')
  })
  await check('both stop at once when they are told to', async () => {
    equal(await Promise.all([one.stop('SIGTERM'), two.stop('SIGTERM')]), [0, 0], 'the exit codes')
  })
}

for (const part of [meeting, messages, typing, presence, broadcasts, pollers, slowReaders, tokens, outage, death]) await part()
await redis.stop()
await finish()
