/** What each of the rivals has: it hashes what is not hashed, calls Pinterest, and answers as Pinterest would. */
import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import { Agent, request } from 'undici'

const OPEN_FIELDS = new Set(['client_ip_address', 'client_user_agent', 'partner_id', 'click_id'])
const CLEAN = {
  ph: (text) => text.replaceAll(/\D/g, ''),
  zp: (text) => text.replaceAll(/[^0-9a-z]/g, ''),
}
const agent = new Agent({ connections: 64 })

export function prepare(event) {
  const hashed = Object.entries(event.user_data).map(([field, value]) => [
    field,
    OPEN_FIELDS.has(field) ? value : [value].flat().map((text) => hash(field, text)),
  ])
  return { ...event, user_data: Object.fromEntries(hashed) }
}

function hash(field, text) {
  if (/^[0-9a-f]{64}$/.test(text)) return text
  const lower = text.trim().toLowerCase()
  return createHash('sha256')
    .update((CLEAN[field] ?? String)(lower))
    .digest('hex')
}

/** Pinterest's answer. Throws where it is no 200, so that a queue tries again. */
export async function callPinterest(adAccountId, events) {
  const { statusCode, body } = await request(`${process.env.UPSTREAM}/v5/ad_accounts/${adAccountId}/events`, {
    method: 'POST',
    dispatcher: agent,
    headers: { authorization: `Bearer ${process.env.ACCESS_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ data: events }),
  })
  const answer = await body.json()
  if (statusCode !== 200) throw new Error(`Pinterest answered ${statusCode}`)
  return answer
}

/** `take` gets the account and its prepared events, and answers the body. Prints its port. */
export async function serve(take) {
  const app = Fastify({ bodyLimit: 8 * 1024 * 1024 })
  app.post('/v5/ad_accounts/:adAccountId/events', (post) =>
    take(post.params.adAccountId, post.body.data.map(prepare)),
  )
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  process.stdout.write(`${JSON.stringify({ port: Number(new URL(address).port) })}\n`)
}

export function allProcessed(events) {
  return {
    num_events_received: events.length,
    num_events_processed: events.length,
    events: events.map(() => ({ status: 'processed', error_message: '', warning_message: '' })),
  }
}
