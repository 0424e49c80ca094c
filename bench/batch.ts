/** What a store is given for a post of so many new events. */
import { randomUUID } from 'node:crypto'
import { dedupeKeys } from '../src/store/core/sealed.ts'
import type { NewBatch } from '../src/store/store.ts'
import type { PostedEvent } from '../src/store/trail.ts'
import { joinEvents } from '../test/support/payload.ts'

const EVENT_BYTES = 700
const KEY_ID = randomUUID()

export function makePost(count: number, receivedAtMs: number): NewBatch {
  const eventTimeS = Math.floor(receivedAtMs / 1000)
  const events = Array.from({ length: count }, () => ({
    eventName: 'checkout',
    eventId: randomUUID(),
    eventTimeS,
  }))
  const texts = events.map(({ eventId }) => {
    const text = JSON.stringify({ event_id: eventId, em: '' })
    return text.replace('""', `"${'0'.repeat(EVENT_BYTES - text.length)}"`)
  })
  const posted = events.map(({ eventName, eventId }): PostedEvent => {
    const trailIds = { eventId, orderId: String(Math.floor(Math.random() * 1e9)) }
    return { eventName, trailIds, eventTimeS, status: 'prepared', warnings: [] }
  })
  const queue = { adAccountId: '549755885175', isTest: false }
  return {
    ...queue,
    payload: joinEvents(texts),
    events: posted,
    keys: dedupeKeys(queue, events),
    receivedAtMs,
    keyId: KEY_ID,
  }
}
