/**
 * How the store's room is divided. One account may queue up to SHARE_OF_FREE times what is still free: alone it gets 8/9 of
 * the room, and what it leaves stays for the others; the more accounts do not drain, the less each may queue (n of them:
 * 8 / (8n + 1) each). So no account that does not drain can take the last room from one that does. It needs two
 * numbers and no list of accounts. (Dynamic queue thresholds, as shared-memory switches divide their buffers.)
 *
 * Dead letters have a part of their own, beside the room for posts: a fixed one, since one setting then bounds all of the
 * store, and an operator who gives the store more gives it to both.
 */
import type { NewDeadLetterRow } from './rows.ts'

/** Above this part of what the store may use commits are refused, while there is still room to drain. */
export const WATERMARK = 0.8
/** A full store takes posts again below this part; at the watermark each acknowledgement would admit one post. */
export const TAKEN_AGAIN = 0.75
/** Of what the store may use, besides the room for posts. */
export const DEAD_LETTER_PART = 0.1
/** What a dead letter counts, as SQL says it in both stores; see `bytesOfDeadLetter`. */
export const DEAD_LETTER_BYTES_SQL = `(octet_length(sealed) + octet_length(event_name) + octet_length(event_id)
  + COALESCE(octet_length(order_id), 0) + COALESCE(octet_length(history), 0) + 256)`

/** The texts and the sealed event, and 256 for the rest of the row and its index. */
export function bytesOfDeadLetter(row: NewDeadLetterRow): number {
  const texts = [row.event_name, row.event_id, row.order_id ?? '', row.history ?? '']
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), row.sealed.byteLength + 256)
}

const SHARE_OF_FREE = 8
/** An account counts as over its share a little early: a large post did not fit before. */
const NEARLY = 7 / 8

/** What an account with so much queued may still add; both in bytes. */
export function mayQueue(queuedBytes: number, addedBytes: number, freeBytes: number): boolean {
  return queuedBytes + addedBytes <= SHARE_OF_FREE * (freeBytes - addedBytes)
}

/** An account that has more queued than this is over its share. */
export function shareOf(freeBytes: number): number {
  return Math.max(0, NEARLY * SHARE_OF_FREE * freeBytes)
}
