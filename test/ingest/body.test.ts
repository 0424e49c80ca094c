import type { FastifyRequest } from 'fastify'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { createBodyReader } from '../../src/ingest/body.ts'
import fc from '../support/fast-check.ts'

const LIMIT_BYTES = 200_000

function begin(announcedBytes?: number) {
  const headers = announcedBytes === undefined ? {} : { 'content-length': String(announcedBytes) }
  const raw = Object.assign(new PassThrough(), { headers })
  const body = new Promise<Buffer>((resolve, reject) => {
    createBodyReader(LIMIT_BYTES)({ raw } as unknown as FastifyRequest, undefined, (error, whole) => {
      if (error) reject(error)
      else resolve(whole!)
    })
  })
  return { raw, body }
}

const sizes = fc.array(fc.integer({ min: 1, max: 65_536 }), { maxLength: 8 })

t.test('a body is what its parts are together, whether its length was announced or not', async (t) => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.boolean(), async (partSizes, isAnnounced) => {
      const parts = partSizes.map((bytes, nth) => Buffer.alloc(bytes, nth + 1))
      const sent = Buffer.concat(parts)
      const { raw, body } = begin(isAnnounced ? sent.byteLength : undefined)
      for (const part of parts) raw.write(part)
      raw.end()
      if (sent.byteLength > LIMIT_BYTES) await t.rejects(body, { code: 'FST_ERR_CTP_BODY_TOO_LARGE' })
      else t.ok(sent.equals(await body))
    }),
    { numRuns: 50 },
  )
})

t.test('one byte over the limit is too many', async (t) => {
  const { raw, body } = begin()
  raw.write(Buffer.alloc(LIMIT_BYTES))
  raw.write('x')
  await t.rejects(body, { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 })
})

t.test('a body whose announced length is over the limit is not read', async (t) => {
  const { raw, body } = begin(LIMIT_BYTES + 1)
  await t.rejects(body, { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 })
  t.equal(raw.listenerCount('data'), 0)
})

t.test('a body that ends early is the fault of its sender', async (t) => {
  const { raw, body } = begin(1000)
  raw.write('{')
  raw.destroy(new Error('aborted'))
  await t.rejects(body, { message: 'aborted', statusCode: 400 })
})

t.test('the parts of a large body are freed as they come', async (t) => {
  const { raw, body } = begin(2 * 65_536)
  const parts = [1, 2].map((byte) => Buffer.from(new Uint8Array(65_536).fill(byte).buffer))
  for (const part of parts) raw.write(part)
  raw.end()
  t.equal((await body).byteLength, 2 * 65_536)
  t.strictSame(
    parts.map(({ byteLength }) => byteLength),
    [0, 0],
  )
})
