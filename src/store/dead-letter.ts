/**
 * What both stores seal and hash alike: where a batch and a dead letter are sealed for, what a dead letter holds, and the key
 * by which an event is known again.
 */
import { hash } from 'node:crypto'
import type { SealBinding, Sealer } from '../vault/seal.ts'

export interface DeadLetterContent {
  readonly message: string
  /** The event's JSON. */
  readonly json: string
}

/** Of SHA-256: two events of one store never share so many. */
export const DEDUPE_KEY_BYTES = 16

export const TOO_OLD_MESSAGE = 'The event grew too old before Pinterest took it.'

export function bindBatch(adAccountId: string): SealBinding {
  return { purpose: 'batch', owner: adAccountId }
}

export function bindDeadLetter(adAccountId: string): SealBinding {
  return { purpose: 'dead_letter', owner: adAccountId }
}

/** The lengths go first, so that no two identities give the same text. */
export function dedupeKey(adAccountId: string, eventName: string, eventId: string): Uint8Array {
  const identity = `${adAccountId.length}:${adAccountId}${eventName.length}:${eventName}${eventId}`
  return hash('sha256', identity, 'buffer').subarray(0, DEDUPE_KEY_BYTES)
}

/** The message, a line feed, the event's JSON: neither holds a line feed itself. */
export function packDeadLetter(message: string, json: string): Uint8Array {
  return Buffer.from(`${message.replaceAll('\n', ' ')}\n${json}`)
}

/** Undefined when no key opens it. */
export function openDeadLetter(
  sealer: Sealer,
  adAccountId: string,
  sealed: Uint8Array,
): DeadLetterContent | undefined {
  let text: string
  try {
    text = Buffer.from(sealer.open(sealed, bindDeadLetter(adAccountId))).toString('utf8')
  } catch {
    return undefined
  }
  const end = text.indexOf('\n')
  return { message: text.slice(0, end), json: text.slice(end + 1) }
}

/** The relay wrote this JSON itself; a wrong field would be its own fault and must not stop a acknowledgement. */
export function readIdentity(json: string): { eventName: string; eventId: string; eventTimeS: number } {
  const event = JSON.parse(json) as Readonly<Record<string, unknown>>
  return {
    eventName: toText(event['event_name']),
    eventId: toText(event['event_id']),
    eventTimeS: readEventTimeS(event) ?? 0,
  }
}

export function readEventTimeS({ event_time: timeS }: Readonly<Record<string, unknown>>): number | undefined {
  return typeof timeS === 'number' ? Math.floor(timeS) : undefined
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
