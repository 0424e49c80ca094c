/**
 * Reads what can still be read of a quarantined queue, through SQLite (damaged-file.ts): batches and dead letters one by
 * one, by the ids that the table and its index list from both ends, each up to the first error. A row counts only if
 * its sealed part opens under the relay's key for the queue that the row names.
 *
 * Batches that came back, on average of 60 cases each, of 121 batches in 84 pages:
 *   bits flipped in 1 page 98 %, in 5 pages 94 %     noise over 1 page 99 %, over 5 pages 87 %
 *   zeros over 8 pages 86 %, cut anywhere 39 %       the first page lost, frames of the WAL flipped 99 to 100 %
 * Skipping ever more rows after each error recovered 1 % more where five pages were lost.
 */
import { mkdir, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { Sealer } from '../../vault/seal.ts'
import { type BatchRow, type DeadLetterRow, listPositions, type QueueRow, toQueue } from '../core/rows.ts'
import { bindBatch, bindDeadLetter, openSealed, type Bind } from '../core/sealed.ts'
import { batchOfStored, commitAll } from '../core/commit.ts'
import { addDeadLetters } from '../core/dead-letters.ts'
import { query, type Steps } from '../core/sql.ts'
import type { Transaction } from '../core/transaction.ts'
import type { Batcher } from '../engine/batcher.ts'
import type { AnswerOf, RecoverReport, RecoverRequest, RequestOf } from '../engine/operations.ts'
import { openViews } from './damaged-file.ts'

/** What goes to the store in one transaction: small, so that commits pass in between. */
interface RecoverStep extends Omit<RecoverRequest, 'file'> {
  readonly batches: RecoverRequest['batches'][number][]
  readonly deadLetters: RecoverRequest['deadLetters'][number][]
  /** In all so far: only the last step's counts. */
  readonly unreadable: number
}

const STEP_ITEMS = 100
const STEP_BYTES = 4 * 1024 * 1024

/** Most rows that a step reads, whether they are known already or not. */
const STEP_ROWS = 2000

/**
 * From a quarantined file into the open queue, in small steps, so that commits run in between. What was taken from a file is
 * remembered under its name. One at a time for each file.
 */
export async function recoverFile(batcher: Batcher, path: string, sealer: Sealer): Promise<RecoverReport> {
  const sum = { batches: 0, events: 0, duplicates: 0, deadLetters: 0, unreadable: 0 }
  const folder = `${path}.recovering`
  // Removes the leftovers of a process that died.
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: 0o700 })
  try {
    for (const { unreadable, ...found } of recover(openViews(path, folder), sealer)) {
      const done = { unreadable, ...(await batcher.submit('recover', { file: basename(path), ...found })) }
      for (const name of Object.keys(sum) as (keyof RecoverReport)[]) sum[name] += done[name]
    }
    return sum
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** An item comes from the first view that has it. */
export function* recover(views: Iterable<DatabaseSync>, sealer: Sealer): Generator<RecoverStep> {
  /** By table and id: whether it was taken or is not needed. */
  const known = new Map<string, boolean>()
  const countLost = () => [...known.values()].filter((isTaken) => !isTaken).length
  let step: RecoverStep = { batches: [], deadLetters: [], unreadable: 0 }
  let [bytes, rows] = [0, 0]
  for (const db of views) {
    let isWhole = true
    const onError = () => void (isWhole = false)
    for (const [table, one] of listIds(db, onError)) {
      const name = `${table.name} ${one}`
      if (known.get(name) !== true) {
        const [row] = read(db, `SELECT * FROM ${table.name} WHERE ${table.id} = ${one}`, onError)
        const size = row && table.take(step, row, sealer)
        known.set(name, size !== undefined)
        bytes += size ?? 0
      }
      rows += 1
      const items = step.batches.length + step.deadLetters.length
      if (items < STEP_ITEMS && bytes < STEP_BYTES && rows < STEP_ROWS) continue
      yield step
      step = { batches: [], deadLetters: [], unreadable: 0 }
      bytes = rows = 0
    }
    if (isWhole && countLost() === 0) break
  }
  yield { ...step, unreadable: countLost() }
}

const TABLES = [
  {
    name: 'batches',
    id: 'batch_id',
    order: ['ad_account_id', 'is_test', 'is_replay', 'oldest_event_time_s', 'batch_id'],
    take: takeBatch,
  },
  { name: 'dead_letters', id: 'id', order: ['died_at_ms'], take: takeDeadLetter },
]

/** Of the table and of its index, from both ends. */
function* listIds(db: DatabaseSync, onError: () => void): Generator<[(typeof TABLES)[number], number]> {
  for (const table of TABLES) {
    for (const [source, columns] of [
      ['NOT INDEXED', [table.id]],
      ['', table.order],
    ] as const) {
      for (const way of ['ASC', 'DESC']) {
        const order = columns.map((column) => `${column} ${way}`).join()
        const sql = `SELECT ${table.id} AS id FROM ${table.name} ${source} ORDER BY ${order}`
        const listed = new Set<unknown>()
        for (const { id } of read(db, sql, onError)) {
          // A damaged page may lead back to an earlier one.
          if (listed.has(id)) {
            onError()
            break
          }
          listed.add(id)
          yield [table, Number(id)]
        }
      }
    }
  }
}

/** SQLite does not check the types of columns when it reads: in a damaged page they may hold anything. */
type Row = Readonly<Record<string, unknown>>

/** An error ends a query, not the reading. */
function* read(db: DatabaseSync, sql: string, onError: () => void): Generator<Row> {
  try {
    yield* db.prepare(sql).iterate()
  } catch {
    onError()
  }
}

/** Answers its bytes; undefined when too much of it is lost. */
function takeBatch(step: RecoverStep, row: Row, sealer: Sealer): number | undefined {
  const { batch_id: batchId, received_at_ms: receivedAtMs } = row as unknown as BatchRow
  const payload = open(row, bindBatch, sealer)
  if (payload === undefined) return undefined
  const gone = listPositions(bytesOrNull(row['acknowledged']) ?? new Uint8Array())
  const queue = toQueue(row as unknown as QueueRow)
  // Ids begin each run with the time, in microseconds.
  const atMs = isCount(receivedAtMs) ? receivedAtMs : Math.floor(batchId / 1000)
  const stored = { payload, gone, hiddenIds: bytesOrNull(row['hidden_ids']) }
  const batch = batchOfStored(queue, stored, atMs, { atMs, reason: 'recovered' })
  if (batch === undefined) return 0
  step.batches.push({ batchId, batch })
  return batch.payload.byteLength
}

const TEXTS = ['event_name', 'event_id', 'reason'] as const
const COUNTS = ['event_time_s', 'attempts', 'first_seen_at_ms', 'died_at_ms'] as const

function takeDeadLetter(step: RecoverStep, row: Row, sealer: Sealer): number | undefined {
  const content = open(row, bindDeadLetter, sealer)
  const isSound =
    (row['status'] === 'rejected' || row['status'] === 'expired') &&
    TEXTS.every((name) => typeof row[name] === 'string') &&
    COUNTS.every((name) => isCount(row[name]))
  if (content === undefined || !isSound) return undefined
  // Column by column: the names of a damaged file's columns may be anything, and those of this row become SQL.
  const { id, event_name, event_id, event_time_s, status, reason } = row as unknown as DeadLetterRow
  const { attempts, first_seen_at_ms, died_at_ms } = row as unknown as DeadLetterRow
  const { adAccountId: ad_account_id, isTest: is_test } = toQueue(row as unknown as QueueRow)
  const [order_id, history] = [textOrNull(row['order_id']), textOrNull(row['history'])]
  // Sealed again, since an older master key may have sealed it.
  const sealed = sealer.seal(content, bindDeadLetter({ adAccountId: ad_account_id, isTest: is_test }))
  const times = { event_time_s, first_seen_at_ms, died_at_ms }
  const texts = { event_name, event_id, order_id, status, reason, history }
  step.deadLetters.push({ id, ad_account_id, is_test, ...texts, ...times, attempts, sealed })
  return sealed.byteLength
}

function open(row: Row, bind: Bind, sealer: Sealer): Uint8Array | undefined {
  const { sealed, ...queue } = row as unknown as BatchRow
  return sealed instanceof Uint8Array ? openSealed(sealer, sealed, bind(toQueue(queue))) : undefined
}

function bytesOrNull(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? value : null
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/**
 * Puts what was recovered into the queue, one bounded step per transaction: events that are there or were delivered are
 * duplicates, as in any post. Each step records what was taken from which file, so that a file can be recovered again:
 * nothing comes twice, and what could not be read before may come then.
 */
export function* addRecovered(
  tx: Transaction,
  { file, batches, deadLetters }: RequestOf<'recover'>,
): Steps<AnswerOf<'recover'>> {
  const newBatches = yield* remember(file, 'batch', batches, ({ batchId }) => batchId)
  const newDeadLetters = yield* remember(file, 'dead_letter', deadLetters, ({ id }) => id)
  const receipts = yield* commitAll(
    tx,
    newBatches.map(({ batch }) => batch),
    'waiting',
  )
  const stored = receipts.flatMap(({ batch }) => batch ?? [])
  yield* addDeadLetters(
    tx,
    newDeadLetters.map(({ id: _id, ...row }) => row),
  )
  // In the totals it is what it was: received, and rejected or expired.
  for (const row of newDeadLetters) tx.totals.count(toQueue(row), { received: 1, [row.status]: 1 })
  const events = stored.reduce((sum, { eventCount }) => sum + eventCount, 0)
  const found = batches.reduce((sum, { batch }) => sum + batch.events.length, 0)
  return {
    batches: stored.length,
    events,
    duplicates: found - events + deadLetters.length - newDeadLetters.length,
    deadLetters: newDeadLetters.length,
  }
}

/** Answers the items that were not taken from this file before, and records that they are now. */
function* remember<Item>(
  file: string,
  kind: 'batch' | 'dead_letter',
  items: readonly Item[],
  idOf: (item: Item) => number,
): Steps<Item[]> {
  const fresh: Item[] = []
  for (const item of items) {
    const added = yield* query(
      'INSERT INTO recovered (file, kind, id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id',
      [file, kind, idOf(item)],
    )
    if (added.length > 0) fresh.push(item)
  }
  return fresh
}
