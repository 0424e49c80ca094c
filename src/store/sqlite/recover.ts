/**
 * Reads what can still be read of a quarantined queue, through SQLite (damaged-file.ts): batches and dead letters one by
 * one, by ids that a walk over each table and over its index finds. A payload proves itself: it opens under the relay's
 * key for its account, or it is not taken.
 *
 * Batches that came back, on average of 60 to 100 seeded cases each, of 201 batches in 121 pages; in brackets what came
 * back when the trees were made anew over their leaves, with 240 lines more:
 *   bits flipped in 1 page   99.3 % (99.4)    in 5 pages        96.3 % (96.5)
 *   noise over 1 page        98.9 % (99.0)    over 5 pages      89.5 % (95.1)
 *   zeros over 8 pages       85.2 % (91.4)    file cut anywhere 40.4 % (41.6)
 *   the first page lost       100 % (100)     1 frame of the WAL flipped 99.9 % (99.9)
 * On average: the root page of the payloads takes all of them along. It is one page of all, so of a large file rarely hit.
 *
 * What cannot be known is not guessed: a batch of which nobody can tell whether it is live or a test is counted as
 * unreadable, since a test event that is sent as a live one cannot be taken back. Of a batch whose row in the queue is
 * lost, all events are taken as pending: an event that Pinterest gets twice has the same id.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Sealer } from '../../vault/seal.ts'
import { listPositions } from '../bitmap.ts'
import { bindDeadLetter, bindBatch, readIdentity } from '../dead-letter.ts'
import { omitEvents, splitEvents } from '../payload.ts'
import type { QueueKey } from '../store.ts'
import { createReader, isCount, listBothWays, walk, type Reader, type Row } from './damaged-rows.ts'
import { listEntries } from './dedupe-block.ts'
import type { RecoveredDeadLetter, RecoveredBatch, RecoverSteps } from '../engine/protocol.ts'

/** What goes to the store in one transaction: small, so that commits pass in between. */
export interface RecoverStep extends RecoverSteps {
  /** Batches and dead letters that were found and cannot be taken; with the last step. */
  readonly unreadable: number
}

const BATCH_ORDER = ['queue_id', 'is_replay', 'oldest_event_time_s', 'batch_id']
const STEP_ITEMS = 100
const STEP_BYTES = 4 * 1024 * 1024

/** An item comes from the first view that has it. `adAccountIds`: of the vault, tried where a batch's queue is lost. */
export function* recover(
  views: Iterable<DatabaseSync>,
  sealer: Sealer,
  adAccountIds: readonly string[],
): Generator<RecoverStep> {
  const known: Known = { batches: new Map(), deadLetters: new Map() }
  let batches: RecoveredBatch[] = []
  let deadLetters: RecoveredDeadLetter[] = []
  let bytes = 0
  for (const db of views) {
    const reader = createReader(db)
    for (const item of readItems(reader, sealer, adAccountIds, known)) {
      if ('commit' in item) batches.push(item)
      else deadLetters.push(item)
      bytes += 'commit' in item ? item.commit.payload.byteLength : item.content.byteLength
      if (batches.length + deadLetters.length < STEP_ITEMS && bytes < STEP_BYTES) continue
      yield { batches, deadLetters, unreadable: 0 }
      batches = []
      deadLetters = []
      bytes = 0
    }
    if (reader.isWhole()) break
  }
  const isTaken = [...known.batches.values(), ...known.deadLetters.values()]
  yield { batches, deadLetters, unreadable: isTaken.filter((taken) => !taken).length }
}

/** By id: whether it was taken, or needs not be. */
interface Known {
  readonly batches: Map<number, boolean>
  readonly deadLetters: Map<number, boolean>
}

function* readItems(
  reader: Reader,
  sealer: Sealer,
  adAccountIds: readonly string[],
  known: Known,
): Generator<RecoveredBatch | RecoveredDeadLetter> {
  const queues = readQueues(reader)
  const accounts = [...queues.values()].flat().map(({ adAccountId }) => adAccountId)
  const liveQueues = [...new Set([...adAccountIds, ...accounts])].map((id) => ({
    adAccountId: id,
    isTest: false,
  }))
  let liveIds: ReadonlySet<unknown> | undefined

  const openBatch: OpenBatch = (batchId, { queue_id: queueId, sealed }) => {
    const open = (bytes: Uint8Array, adAccountId: string) => sealer.open(bytes, bindBatch(adAccountId))
    const opened = openFor(queues.get(queueId), sealed, open)
    if (opened !== undefined) return opened
    // Where the queue is lost: only live events are in the dedupe index, with their batch.
    liveIds ??= listLive(reader)
    return liveIds.has(batchId) ? openFor(liveQueues, sealed, open) : undefined
  }
  function* take<Item>(
    ids: Iterable<number>,
    taken: Map<number, boolean>,
    read: (id: number) => Item | 'acknowledged' | undefined,
  ) {
    for (const id of ids) {
      if (taken.get(id) === true) continue
      const item = read(id)
      taken.set(id, item !== undefined)
      if (item === undefined) reader.noteLoss()
      else if (item !== 'acknowledged') yield item
    }
  }
  const batchIds = [
    ...walk(reader, 'payloads', 'batch_id'),
    ...listBothWays(reader, 'batches', 'batch_id', BATCH_ORDER),
  ]
  yield* take(batchIds, known.batches, (id) => readBatch(reader, openBatch, id))
  const deadLetterIds = [
    ...walk(reader, 'dead_letters', 'id'),
    ...listBothWays(reader, 'dead_letters', 'id', ['died_at_ms']),
  ]
  yield* take(deadLetterIds, known.deadLetters, (id) => readDeadLetter(reader, sealer, queues, id))
}

/** What the table and the index of its accounts say of each: more than one thing where one of them is damaged. */
type Queues = ReadonlyMap<unknown, readonly QueueKey[]>

function readQueues(reader: Reader): Queues {
  const queues = new Map<unknown, readonly QueueKey[]>()
  for (const order of [
    'NOT INDEXED ORDER BY queue_id',
    'NOT INDEXED ORDER BY queue_id DESC',
    'ORDER BY ad_account_id, is_test',
    'ORDER BY ad_account_id DESC, is_test DESC',
  ]) {
    for (const row of reader.read(`SELECT queue_id, ad_account_id, is_test FROM queues ${order}`).rows) {
      const { queue_id: queueId, ad_account_id: adAccountId, is_test: test } = row
      if (!isCount(queueId) || typeof adAccountId !== 'string' || !/^\d{1,18}$/.test(adAccountId)) continue
      if (test === 0 || test === 1)
        queues.set(queueId, [...(queues.get(queueId) ?? []), { adAccountId, isTest: test === 1 }])
    }
  }
  return queues
}

function listLive(reader: Reader): Set<number> {
  const blocks = ['ASC', 'DESC'].flatMap(
    (way) => reader.read(`SELECT entries FROM dedupe_blocks ORDER BY block_id ${way}`).rows,
  )
  return new Set(
    blocks.flatMap(({ entries }) =>
      entries instanceof Uint8Array ? [...listEntries(entries)].map(({ batchId }) => batchId) : [],
    ),
  )
}

type OpenBatch = (batchId: number, row: Row) => Opened | undefined

interface Opened {
  readonly queue: QueueKey
  readonly content: Uint8Array
}

/** Undefined when it opens for no queue, or both for a live one and for tests. */
function openFor(
  queues: readonly QueueKey[] = [],
  sealed: unknown,
  open: (sealed: Uint8Array, adAccountId: string) => Uint8Array,
): Opened | undefined {
  if (!(sealed instanceof Uint8Array)) return undefined
  const opened = queues.flatMap((queue) => {
    try {
      return [{ queue, content: open(sealed, queue.adAccountId) }]
    } catch {
      return []
    }
  })
  return opened.every(({ queue }) => queue.isTest === opened[0]!.queue.isTest) ? opened[0] : undefined
}

function readBatch(
  reader: Reader,
  openBatch: OpenBatch,
  batchId: number,
): RecoveredBatch | 'acknowledged' | undefined {
  const [found] = reader.read('SELECT * FROM payloads WHERE batch_id = ?', batchId).rows
  const opened = found && openBatch(batchId, found)
  if (opened === undefined) return undefined
  const place = ['queue_id', 'is_replay', 'oldest_event_time_s'].map((column) => found![column] as number)
  const [row = {}] = reader.read(
    'SELECT * FROM batches WHERE queue_id = ? AND is_replay = ? AND oldest_event_time_s = ? AND batch_id = ?',
    ...place,
    batchId,
  ).rows
  const { acknowledged, received_at_ms: receivedAtMs } = row
  const pending = omitEvents(
    opened.content,
    acknowledged instanceof Uint8Array ? listPositions(acknowledged) : [],
  )
  if (pending === undefined) return 'acknowledged'
  const events = splitEvents(pending).map(readIdentity)
  return {
    batchId,
    attempts: countOf(row, 'attempts'),
    history: textOf(row, 'history'),
    commit: {
      ...opened.queue,
      payload: pending,
      identities: opened.queue.isTest ? [] : events.flatMap(({ eventName, eventId }) => [eventName, eventId]),
      eventTimesS: events.map(({ eventTimeS }) => eventTimeS),
      invalidCount: 0,
      filteredCount: 0,
      // Ids begin each run with the time, in microseconds.
      receivedAtMs: isCount(receivedAtMs) ? receivedAtMs : Math.floor(batchId / 1000),
    },
  }
}

/** A dead letter of a lost queue is left where it is: nobody could tell whether it was live. */
function readDeadLetter(
  reader: Reader,
  sealer: Sealer,
  queues: Queues,
  deadLetterId: number,
): RecoveredDeadLetter | undefined {
  const [row] = reader.read('SELECT * FROM dead_letters WHERE id = ?', deadLetterId).rows
  if (row === undefined) return undefined
  const opened = openFor(queues.get(row['queue_id']), row['sealed'], (sealed, adAccountId) =>
    sealer.open(sealed, bindDeadLetter(adAccountId)),
  )
  const { status } = row
  if (opened === undefined || (status !== 'rejected' && status !== 'expired')) return undefined
  return {
    deadLetterId,
    ...opened,
    eventName: textOf(row, 'event_name') ?? '',
    eventId: textOf(row, 'event_id') ?? '',
    eventTimeS: countOf(row, 'event_time_s'),
    status,
    reason: textOf(row, 'reason') ?? '',
    attempts: countOf(row, 'attempts'),
    firstSeenAtMs: countOf(row, 'first_seen_at_ms'),
    diedAtMs: countOf(row, 'died_at_ms'),
    history: textOf(row, 'history'),
  }
}

function countOf(row: Row, column: string): number {
  const value = row[column]
  return isCount(value) ? value : 0
}

function textOf(row: Row, column: string): string | null {
  const value = row[column]
  return typeof value === 'string' ? value : null
}
