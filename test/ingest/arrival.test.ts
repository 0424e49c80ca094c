import { once } from 'node:events'
import { request as open } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { InvalidRequest, StoreUnavailable } from '../../src/errors.ts'
import { createPostLimiter, type PostLimiter } from '../../src/limits/post-limiter.ts'
import { createAdmission } from '../../src/ingest/admission.ts'
import type { IngestOptions } from '../../src/ingest/take-post.ts'
import { createPublicServer, type PublicServerOptions } from '../../src/ingest/server.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createManualClock } from '../support/clock.ts'

const NOT_JSON: IngestOptions['engine'] = {
  takePost: () => Promise.reject(new InvalidRequest('The body is no JSON.')),
  withdrawPost: () => undefined,
}

const BODY_LIMIT_BYTES = 8192

async function openApp(t: Test, postsPerMinute = 0, postLimiter?: PostLimiter, engine = NOT_JSON) {
  const clock = createManualClock()
  let check = () => {}
  let isStalled = false
  const account = { adAccountId: '1', tokenKind: 'fixed', postsPerMinute, eventNames: {} }
  const app = await createPublicServer({
    vault: {
      authenticate: () => ({ keyId: 'k', adAccountIds: ['1'] }),
      account: () => account,
      source: () => undefined,
      secretsOf: () => undefined,
    },
    postLimiter: postLimiter ?? createPostLimiter(clock.monotonicMs),
    readiness: {
      check: () => {
        if (isStalled) throw new StoreUnavailable()
      },
      isShuttingDown: () => false,
      problem: () => undefined,
      onCheck: (listener: () => void) => void (check = listener),
    },
    admission: createAdmission(BODY_LIMIT_BYTES, clock),
    metrics: createMetrics({ version: 'test' }),
    tracing: undefined,
    log: { info: () => undefined, error: () => undefined },
    engine,
    isClockTrusted: () => true,
    clock,
    settings: { POSTS_PER_MINUTE: 0, ANSWER_WAIT_MS: 0, BODY_LIMIT_BYTES, TRUST_PROXY: [] },
  } as unknown as PublicServerOptions)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const begin = (sizeBytes: number, path = EVENTS) => {
    const headers = {
      authorization: 'Bearer x',
      'content-type': 'application/json',
      'content-length': sizeBytes,
    }
    const post = open({ port, host: '127.0.0.1', agent: false, method: 'POST', path, headers })
    post.on('error', () => undefined)
    post.flushHeaders()
    const answer = once(post, 'response').then(([response]) => response as { statusCode: number })
    return { post, answer }
  }
  const statusOf = async (sizeBytes: number) => {
    const { post, answer } = begin(sizeBytes)
    post.end('x'.repeat(sizeBytes))
    return (await answer).statusCode
  }
  return { app, clock, begin, statusOf, check: () => check(), stall: () => void (isStalled = true) }
}

const EVENTS = '/v5/ad_accounts/1/events'

t.test('a slow sender gets 408 and gives its room back; a quick one is read', async (t) => {
  const { app, clock, begin, statusOf } = await openApp(t)
  const slow = [begin(8192), begin(8192)]
  for (const { post } of slow) post.write('{')
  let status = await statusOf(10)
  while (status === 400) {
    await nextTurn()
    status = await statusOf(10)
  }
  t.equal(status, 503, 'the room of this account is taken')
  for (let second = 0; second <= 6; second++) await clock.advance(1000)
  const answers = await Promise.all(slow.map(({ answer }) => answer))
  t.same(
    answers.map(({ statusCode }) => statusCode),
    [408, 408],
  )
  while (status === 503) status = await statusOf(8192)
  t.equal(status, 400, 'read, and not JSON')
  t.equal(app.server.listening, true)
})

t.test('who leaves while the post limiter asks the database holds no room', async (t) => {
  const asked: (() => void)[] = []
  const passed = { current: 1, ttl: 1000 }
  const postLimiter: PostLimiter = {
    take: () => (asked.length === 2 ? passed : new Promise((resolve) => asked.push(() => resolve(passed)))),
    level: () => undefined,
    giveBack: () => undefined,
    forget: () => undefined,
  }
  const { app, begin, statusOf } = await openApp(t, 60, postLimiter)
  const left: Promise<unknown>[] = []
  app.server.on('request', (_request, response) => left.push(once(response, 'close')))
  const posts = [begin(8192), begin(8192)]
  for (const { answer } of posts) answer.catch(() => undefined)
  while (asked.length < 2) await nextTurn()
  for (const { post } of posts) post.destroy()
  await Promise.all(left)
  for (const answer of asked) answer()
  t.equal(await statusOf(8192), 400, 'read, and not JSON')
})

t.test('a post whose body comes while the store hangs is refused', async (t) => {
  const { app, begin, stall } = await openApp(t)
  const arrived = once(app.server, 'request')
  const { post, answer } = begin(2)
  await arrived
  stall()
  post.end('{}')
  t.equal((await answer).statusCode, 503)
})

t.test(
  'a post whose sender leaves while it waits for the engine is withdrawn, a webhook is not',
  async (t) => {
    const taken: number[] = []
    const withdrawn: number[] = []
    const { app, begin, check } = await openApp(t, 0, undefined, {
      takePost({ postId }) {
        taken.push(postId)
        return new Promise(() => undefined)
      },
      withdrawPost: (postId) => void withdrawn.push(postId),
    })
    for (const path of ['/sources/shop', EVENTS]) {
      const connected = once(app.server, 'connection') as Promise<[Socket]>
      const { post, answer } = begin(2, path)
      answer.catch(() => undefined)
      post.end('{}')
      const [socket] = await connected
      const before = taken.length
      while (taken.length === before) await nextTurn()
      check()
      const closed = once(socket, 'close')
      post.destroy()
      await closed
    }
    t.same(withdrawn, [], 'not before the next check')
    check()
    t.same(withdrawn, [taken[1]])
  },
)

t.test(
  'a post that follows one on the same connection gives its room back when its sender leaves',
  async (t) => {
    let taken = 0
    const { app, statusOf } = await openApp(t, 0, undefined, {
      ...NOT_JSON,
      takePost: (post) => (++taken > 2 ? NOT_JSON.takePost(post) : new Promise(() => undefined)),
    })
    const head = (bytes: number) =>
      `POST ${EVENTS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`
    for (let nth = 1; nth <= 2; nth++) {
      const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
      const [socket] = (await once(app.server, 'connection')) as [Socket]
      client.write(`${head(2)}{}`)
      while (taken < nth) await nextTurn()
      client.write(`${head(8000)}{`)
      await once(app.server, 'request')
      client.destroy()
      await once(socket, 'close')
    }
    t.equal(await statusOf(8000), 400, 'read, and not JSON')
  },
)

t.test(
  'a body that never ends is answered once, also where it is refused first and times out later',
  async (t) => {
    const { app } = await openApp(t)
    const timedOut = Object.assign(new Error(), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
    const answersTo = async (head: string, isAnswered: (text: string) => boolean) => {
      const connected = once(app.server, 'connection')
      const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
      const closed = once(client, 'close')
      let text = ''
      client.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      client.write(head)
      const [socket] = await connected
      while (!isAnswered(text)) await nextTurn()
      app.server.emit('clientError', timedOut, socket)
      await closed
      return text.match(/HTTP\/1.1 \d+/g)
    }
    const head = `POST ${EVENTS} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`
    const body = 'content-length: 1000\r\n\r\n{'
    t.same(await answersTo(head + body, (text) => text.endsWith('}')), ['HTTP/1.1 401'])
    t.same(await answersTo(head, () => true), ['HTTP/1.1 408'])
  },
)
