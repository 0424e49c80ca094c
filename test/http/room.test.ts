import { request as open } from 'node:http'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { createRoom } from '../../src/http/room.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'

const withHeaders = (headers: Record<string, string>) => ({ headers }) as unknown as FastifyRequest

t.test('eight bodies of the largest size fit at once; who leaves makes room, once', async (t) => {
  const room = createRoom(1000)
  const leave = Array.from({ length: 8 }, () => room.enter(withHeaders({ 'content-length': '1000' })))
  t.throws(() => room.enter(withHeaders({ 'content-length': '1' })), { code: 'TOO_BUSY', statusCode: 503 })
  leave[0]?.()
  leave[0]?.()
  t.throws(() => room.enter(withHeaders({ 'content-length': '1000' })) && room.enter(withHeaders({})), {
    code: 'TOO_BUSY',
  })
})

t.test('a body without a length counts as a large one, one over the limit not at all', async (t) => {
  const room = createRoom(1000)
  for (let n = 0; n < 20; n++) room.enter(withHeaders({ 'content-length': '5000' }))
  for (let n = 0; n < 8; n++) room.enter(withHeaders({ 'transfer-encoding': 'chunked' }))
  t.throws(() => room.enter(withHeaders({ 'content-length': '1' })), { code: 'TOO_BUSY' })
})

t.test('posts that are never finished take room only as long as they last', async (t) => {
  const { relay, relayKey, post } = await setUp(t, { BODY_LIMIT_BYTES: '4096' })
  const begun = Array.from({ length: 8 }, () => {
    const request = open(`${relay.publicUrl}/v5/ad_accounts/${ACCOUNT}/events`, {
      method: 'POST',
      agent: false,
      headers: {
        authorization: `Bearer ${relayKey}`,
        'content-type': 'application/json',
        'content-length': 4096,
      },
    })
    request.on('error', () => undefined)
    request.write('{')
    return request
  })
  const statusOf = async () => (await post({ data: [rawEvent()] })).status
  let status = await statusOf()
  while (status === 200) status = await statusOf()
  t.equal(status, 503)
  const refused = await post({ data: [rawEvent()] })
  t.match(refused.body, { code: 4197, message: String })
  t.ok(Number(refused.headers.get('retry-after')) > 0)
  for (const request of begun) request.destroy()
  while (status === 503) status = await statusOf()
  t.equal(status, 200)
})
