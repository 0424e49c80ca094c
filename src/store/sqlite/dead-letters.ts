/**
 * Keeps what was refused for good or grew too old, for a person to look at. The event is sealed, and with it Pinterest's
 * text on it: that was scrubbed, but nobody can promise that it says nothing of a customer.
 */
import { bindDeadLetter, bindBatch, dedupeKey, packDeadLetter, readIdentity } from '../dead-letter.ts'
import { splitEvents } from '../payload.ts'
import type { DeadEvent } from '../store.ts'
import { prepareRows } from './connection.ts'
import { packHistory } from '../history.ts'
import type { QueueTables } from './queue-tables.ts'

export interface NewDeadLetters {
  readonly batchId: number
  readonly queueId: number
  readonly dead: readonly DeadEvent[]
  readonly firstSeenAtMs: number
  readonly diedAtMs: number
}

/** Death is rare: only then is the payload opened and read, and the event forgotten so that a mended one goes through. */
export function createDeadLetterWriter({
  db,
  queues,
  deadLetters,
  sealer,
  dedupe,
}: QueueTables): (died: NewDeadLetters) => void {
  const selectSealed = prepareRows<[sealed: Uint8Array]>(db, 'SELECT sealed FROM payloads WHERE batch_id = ?')

  return function addDeadLetters({ batchId, queueId, dead, firstSeenAtMs, diedAtMs }) {
    if (dead.length === 0) return
    const { adAccountId, isTest } = queues.keyOf(queueId)
    const [batch] = selectSealed.get(batchId)!
    const events = splitEvents(sealer.open(batch, bindBatch(adAccountId)))
    for (const { index, status, reason, message, attempts, history } of dead) {
      const json = events[index]!
      const identity = readIdentity(json)
      const sealed = sealer.seal(packDeadLetter(message, json), bindDeadLetter(adAccountId))
      const fate = { status, reason, attempts, history: packHistory(history), firstSeenAtMs, diedAtMs }
      deadLetters.add({ queueId, ...identity, ...fate, sealed })
      if (!isTest) dedupe.forget(dedupeKey(adAccountId, identity.eventName, identity.eventId), batchId)
    }
  }
}
