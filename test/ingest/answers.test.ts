import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, enter, setUp } from '../support/relay.ts'

const invalid = { code: 4196, message: String }

t.test('every row of the answer table', async (t) => {
  const stand = await setUp(t, { BODY_LIMIT_BYTES: '20000', POSTS_PER_MINUTE: '0' })
  const { post, admin, sandbox } = stand
  const good = { data: [rawEvent()] }
  await admin('PUT', '/accounts/1', { access_token: 'pina_other_account' })

  const rows: [string, Promise<{ status: number; body: unknown; headers: Headers }>, number, object][] = [
    ['no key', post(good, { headers: { authorization: '' } }), 401, { code: 2, message: String }],
    ['an unknown key', post(good, { key: 'prl_unknown' }), 401, { code: 2, message: String }],
    [
      'a key with another scheme',
      post(good, { headers: { authorization: `Basic ${stand.relayKey}` } }),
      401,
      { code: 2 },
    ],
    ['a key without the account', post(good, { account: '1' }), 403, { code: 29, message: String }],
    ['an account that does not exist', post(good, { account: '2' }), 403, { code: 29, message: String }],
    ['an id that is none', post(good, { account: 'me' }), 400, invalid],
    ['an id of 19 digits', post(good, { account: '1234567890123456789' }), 400, invalid],
    ['a bad test', post(good, { query: '?test=yes' }), 400, invalid],
    ['a misspelled test', post(good, { query: '?Test=true' }), 400, invalid],
    ['test as an array', post(good, { query: '?test[]=true' }), 400, invalid],
    ['test twice', post(good, { query: '?test=true&test=true' }), 400, invalid],
    ['not JSON', post('{"data":[{"em":"secret@example.com"'), 400, invalid],
    ['nothing', post(''), 400, invalid],
    ['an array', post([rawEvent()]), 400, invalid],
    ['null', post('null'), 400, invalid],
    ['no data', post({}), 400, invalid],
    ['data that is no array', post({ data: { first: rawEvent() } }), 400, invalid],
    ['no events', post({ data: [] }), 400, invalid],
    ['1,001 events', post({ data: Array.from({ length: 1001 }, () => 0) }), 400, invalid],
    ['data from a prototype', post('{"__proto__":{"data":[1]}}'), 400, invalid],
    ['bytes that are no UTF-8', post(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])), 400, invalid],
    ['deep nesting', post('['.repeat(19_000)), 400, invalid],
    ['a body over the limit', post({ data: [rawEvent(), 'x'.repeat(20_000)] }), 413, invalid],
    [
      'another content type',
      post('em=1', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
      415,
      invalid,
    ],
    [
      'a charset that is not UTF-8',
      post(good, { headers: { 'content-type': 'application/json; charset=utf-16' } }),
      415,
      invalid,
    ],
    ['an encoded body', post(good, { headers: { 'content-encoding': 'gzip' } }), 415, invalid],
    [
      'all events invalid',
      post({ data: [{}] }),
      422,
      { code: 953, message: String, details: { num_events_processed: 0 } },
    ],
    ['all events taken', post(good), 200, { num_events_processed: 1 }],
  ]
  for (const [name, answer, status, body] of rows) {
    const { status: given, body: told } = await answer
    t.equal(given, status, `${name} gets ${status}`)
    t.match(told, body, `${name} gets its body`)
    t.notMatch(JSON.stringify(told), /secret@example/, `${name} is not quoted`)
  }
  t.equal(sandbox.journal.calls().length, 1, 'only the good post reached Pinterest')
  const { headers } = await post({ data: [rawEvent()] })
  t.equal(headers.get('ratelimit-limit'), null, 'POSTS_PER_MINUTE=0: no limit')
})

t.test(
  'over the post limiter: 429 with a Retry-After and RateLimit headers, before the body is read',
  async (t) => {
    const { account, post, admin } = await enter(t)
    await admin('PUT', `/accounts/${account}`, { access_token: 'pina_again_1234', posts_per_minute: 3 })
    for (let n = 1; n <= 3; n++) {
      const { status, headers } = await post({ data: [rawEvent()] })
      t.equal(status, 200)
      t.equal(headers.get('ratelimit-remaining'), String(3 - n))
    }
    const { status, headers, body } = await post('not even JSON')
    t.equal(status, 429)
    t.match(body, { code: 8, message: String })
    t.equal(headers.get('ratelimit-limit'), '3')
    t.equal(headers.get('ratelimit-remaining'), '0')
    const retryAfterS = Number(headers.get('retry-after'))
    t.ok(retryAfterS >= 1 && retryAfterS <= 20, `Retry-After is ${retryAfterS}`)
  },
)

t.test('nothing else is on the public port', async (t) => {
  const { relay, relayKey } = await enter(t)
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', `/v5/ad_accounts/${ACCOUNT}/events`],
    ['PUT', `/v5/ad_accounts/${ACCOUNT}/events`],
    ['GET', '/metrics'],
    ['GET', '/accounts'],
    ['POST', '/v5/oauth/token'],
    ['GET', '/%zz'],
  ] as const) {
    const response = await fetch(relay.publicUrl + path, {
      method,
      headers: { authorization: `Bearer ${relayKey}` },
    })
    t.ok([400, 404].includes(response.status), `${method} ${path} gets ${response.status}`)
    t.match(await response.json(), { code: Number, message: String })
  }
})

t.test('what is no HTTP gets an answer of the same form', async (t) => {
  const { relay, account, relayKey } = await enter(t)
  const send = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(relay.publicUrl).port), '127.0.0.1', () => socket.end(text))
      let answer = ''
      socket.on('data', (chunk) => (answer += chunk.toString()))
      socket.on('end', () => resolve(answer))
      socket.on('error', reject)
    })
  const post = `POST /v5/ad_accounts/${account}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${relayKey}\r\n`
  for (const text of [
    'GARBAGE',
    `${post}transfer-encoding: xchunked`,
    `${post}transfer-encoding: chunked, gzip`,
  ]) {
    const answer = await send(`${text}\r\n\r\n`)
    t.match(answer, /^HTTP\/1\.1 400 /, text)
    t.match(answer, /\{"code":4196,"message":"Bad Request."\}$/)
  }
  t.match(
    await send('POST / HTTP/1.1\r\nconnection: close\r\n\r\n'),
    /^HTTP\/1\.1 400 [^]*\{"code":4196,"message":"The header Host is missing\."\}$/,
  )
  t.match(
    await send(`${post}expect: foo\r\n\r\n`),
    /^HTTP\/1\.1 417 [^]*\{"code":4196,"message":"Expect: only 100-continue is known\."\}/,
  )
})

t.test('livez and readyz', async (t) => {
  const { relay } = await enter(t)
  t.equal((await fetch(`${relay.publicUrl}/livez`)).status, 200)
  t.equal((await fetch(`${relay.publicUrl}/readyz`)).status, 200)
})

t.test('no answer shows which accounts exist', async (t) => {
  const { post, admin } = await enter(t)
  await admin('PUT', '/accounts/1', { access_token: 'pina_other_account' })
  const there = await post({ data: [rawEvent()] }, { account: '1' })
  const notThere = await post({ data: [rawEvent()] }, { account: '2' })
  t.strictSame([there.status, there.body], [notThere.status, notThere.body])
})

t.test('of a body that was refused before it came no more is read than a post may have', async (t) => {
  const { relay, account } = await enter(t)
  const sizeBytes = 64 * 1024 ** 2
  for (const length of [`content-length: ${sizeBytes}`, 'transfer-encoding: chunked']) {
    const socket = connect(Number(new URL(relay.publicUrl).port), '127.0.0.1')
    socket.on('error', () => undefined)
    const head = [
      `POST /v5/ad_accounts/${account}/events HTTP/1.1`,
      'host: x',
      'authorization: Bearer prl_unknown',
      'content-type: application/json',
      length,
    ]
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    t.match(String(answer), /^HTTP\/1\.1 401 /, length)
    const part = Buffer.from(`10000\r\n${' '.repeat(65_536)}\r\n`)
    while (!socket.destroyed && socket.bytesWritten < sizeBytes) {
      if (!socket.write(part))
        await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined)
    }
    t.ok(socket.bytesWritten < sizeBytes, `${length}, of which ${socket.bytesWritten} were sent`)
    socket.destroy()
  }
})
