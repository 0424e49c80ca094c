import type { FastifyRequest } from 'fastify'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { createBodyReader, LOWEST_BYTES_PER_S } from '../../src/ingest/arrival.ts'
import { createManualClock } from '../support/clock.ts'
import fc from '../support/fast-check.ts'

const LIMIT_BYTES = 200_000

function setUpReader() {
  const clock = createManualClock()
  const readBody = createBodyReader(LIMIT_BYTES, clock)
  const begin = (announcedBytes?: number, raw: PassThrough = new PassThrough()) => {
    const headers = announcedBytes === undefined ? {} : { 'content-length': String(announcedBytes) }
    const request = { raw: Object.assign(raw, { headers }) } as unknown as FastifyRequest
    const post = { raw, error: undefined as unknown, body: undefined as unknown as Promise<Buffer> }
    post.body = new Promise((resolve, reject) => {
      readBody(request, undefined, (error, whole) => (error ? reject(error) : resolve(whole!)))
    })
    post.body.catch((error: unknown) => (post.error = error))
    return post
  }
  return { clock, begin }
}
const TOO_SLOW = { code: 'TOO_SLOW', statusCode: 408 }

t.test('after five seconds a body must have come at the lowest rate', async (t) => {
  const { clock, begin } = setUpReader()
  const [stalled, steady, bursty] = [begin(), begin(), begin()]
  bursty.raw.write(Buffer.alloc(3 * LOWEST_BYTES_PER_S))
  for (let second = 1; second <= 5; second++) await clock.advance(1000)
  t.equal(stalled.error, undefined, 'the grace')
  for (let second = 6; second <= 12; second++) {
    steady.raw.write(Buffer.alloc(LOWEST_BYTES_PER_S))
    await clock.advance(1000)
    t.match(stalled.error, TOO_SLOW)
    t.equal(steady.error, undefined)
    if (second <= 8) t.equal(bursty.error, undefined, 'what came early counts')
    else t.match(bursty.error, TOO_SLOW)
  }
})

t.test('a body that is read is watched no longer, and no timer stays', async (t) => {
  const { clock, begin } = setUpReader()
  const [read, broken] = [begin(2), begin(2)]
  read.raw.end('{}')
  broken.raw.destroy(new Error('aborted'))
  t.equal(String(await read.body), '{}')
  await t.rejects(broken.body, { message: 'aborted' })
  await clock.advance(60_000)
  t.equal(clock.pendingTimers(), 0)
  const next = begin()
  await clock.advance(6000)
  t.match(next.error, TOO_SLOW, 'it looks again once there is something to look at')
})

t.test('of who has left before it is read, no body is waited for', async (t) => {
  const { clock, begin } = setUpReader()
  await t.rejects(begin(2, new PassThrough().destroy()).body, { code: 'SENDER_LEFT' })
  t.equal(clock.pendingTimers(), 0)
})

const sizes = fc.array(fc.integer({ min: 1, max: 65_536 }), { maxLength: 8 })

t.test('a body is what its parts are together, whether its length was announced or not', async (t) => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.boolean(), async (partSizes, isAnnounced) => {
      const parts = partSizes.map((bytes, nth) => Buffer.alloc(bytes, nth + 1))
      const sent = Buffer.concat(parts)
      const { raw, body } = setUpReader().begin(isAnnounced ? sent.byteLength : undefined)
      for (const part of parts) raw.write(part)
      raw.end()
      if (sent.byteLength > LIMIT_BYTES) await t.rejects(body, { code: 'FST_ERR_CTP_BODY_TOO_LARGE' })
      else t.ok(sent.equals(await body))
    }),
    { numRuns: 50 },
  )
})

t.test('one byte over the limit is too many', async (t) => {
  const { raw, body } = setUpReader().begin()
  raw.write(Buffer.alloc(LIMIT_BYTES))
  raw.write('x')
  await t.rejects(body, { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 })
})

t.test('a body whose announced length is over the limit is not read', async (t) => {
  const { raw, body } = setUpReader().begin(LIMIT_BYTES + 1)
  await t.rejects(body, { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 })
  t.equal(raw.listenerCount('data'), 0)
})

t.test('a body that ends early is the fault of its sender', async (t) => {
  const { raw, body } = setUpReader().begin(1000)
  raw.write('{')
  raw.destroy(new Error('aborted'))
  await t.rejects(body, { message: 'aborted', statusCode: 400 })
})

t.test('the parts of a large body are freed as they come', async (t) => {
  const { raw, body } = setUpReader().begin(2 * 65_536)
  const parts = [1, 2].map((byte) => Buffer.from(new Uint8Array(65_536).fill(byte).buffer))
  for (const part of parts) raw.write(part)
  raw.end()
  t.equal((await body).byteLength, 2 * 65_536)
  t.strictSame(
    parts.map(({ byteLength }) => byteLength),
    [0, 0],
  )
})
