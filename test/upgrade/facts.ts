/** What is known of the stores in this folder, which a released version wrote. */
import { systemClock, type Clock } from '../../src/clock.ts'
import { rawEvent } from '../support/events.ts'

/** When they were written. Events older than a week expire, and keys of a day are forgotten. */
export const WRITTEN_AT_MS = Date.UTC(2026, 10, 27, 12)
export const MASTER_KEY = Buffer.alloc(32, 7).toString('base64')
export const SOURCE = { kind: 'shopify', secret: 'the secret of the webhooks', label: 'Web shop' }
/** But for the reserved space, which is made anew. */
export const FILES = ['relay.db', 'relay.vault.db']

/** It was never another time, but it goes on. */
export function clockFrom(wallMs: number): Clock {
  const startedMs = systemClock.monotonicMs()
  return { ...systemClock, wallMs: () => Math.floor(wallMs + systemClock.monotonicMs() - startedMs) }
}

export function eventNamed(eventId: string, orderId?: string) {
  return rawEvent({
    event_id: eventId,
    event_time: WRITTEN_AT_MS / 1000 - 60,
    ...(orderId === undefined ? {} : { custom_data: { order_id: orderId } }),
  })
}
