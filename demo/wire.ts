/**
 * What really reached Pinterest: read from the sandbox's journal of the bytes that it received, never from the relay's
 * answers.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { JournalEntry } from '../sandbox/journal.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import { isJson, type Json } from './order.ts'
import type { Shop } from './stage.ts'

export interface Arrival {
  readonly call: JournalEntry
  readonly event: Json
}

/** Events of calls that Pinterest took, in the order of their arrival. */
export function arrivals({ journal }: Sandbox, { adAccountId }: Shop): Arrival[] {
  return journal
    .calls({ adAccountId })
    .filter(({ status }) => status === 200 || status === 422)
    .flatMap((call) => (call.events ?? []).filter(isJson).map((event) => ({ call, event })))
}

export function arrivalsOf(sandbox: Sandbox, shop: Shop, eventId: string): Arrival[] {
  return arrivals(sandbox, shop).filter(({ event }) => event['event_id'] === eventId)
}

/** False when it is not true in time: a claim fails then, and the demo continues. */
export async function isSoon(sandbox: Sandbox, timeMs: number, isTrue: () => boolean): Promise<boolean> {
  const late = new AbortController()
  const never = delay(timeMs, false, { signal: late.signal }).catch(() => false)
  const held = await Promise.race([sandbox.until(isTrue).then(() => true), never])
  late.abort()
  return held
}

/** Every text and number in what was received, as texts. */
export function leavesOf(node: unknown): string[] {
  if (typeof node === 'string' || typeof node === 'number') return [String(node)]
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) => [key, ...leavesOf(value)])
}
