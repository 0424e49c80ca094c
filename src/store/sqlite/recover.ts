/**
 * Reads what can still be read of a quarantined queue, through SQLite: groups and dead letters one by one, by keys that
 * are found by walking each table and its index from both ends. A payload proves itself: it opens under the relay's key
 * for its account, or it is not taken.
 *
 * Where something could not be read the trees are made anew over the leaves that are left (damaged-file.ts), and read
 * once more. With 200 seeded cases of each kind of damage this brought back as many groups as a reader of pages that
 * went without SQLite (in brackets): noise over one of 178 pages 99.24 % (99.18), bits flipped in five 97.93 % (97.92),
 * the first page lost 100 % (100), the file cut anywhere 49.2 % (49.2), one frame of the WAL lost 99.96 % (99.96), the
 * WAL cut anywhere 49.8 % (49.4).
 *
 * What cannot be known is not guessed: a group of which nobody can tell whether it is live or a test is counted as
 * unreadable, since a test event that is sent as a live one cannot be taken back. Of a group whose row in the queue is
 * lost, all events are taken as pending: an event that Pinterest gets twice has the same id.
 */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type { Sealer } from '../../vault/seal.ts'
import { listPositions } from '../bitmap.ts'
import { bindDeadLetter, bindBatch, readIdentity } from '../dead-letter.ts'
import { omitEvents, splitEvents } from '../payload.ts'
import type { QueueKey } from '../store.ts'
import { prepareRows, type RowQuery } from './connection.ts'
import { listEntries } from './dedupe-block.ts'
import type { View } from './damaged-file.ts'
import type { RecoveredDeadLetter, RecoveredBatch, RecoverSteps } from '../engine/protocol.ts'

/** What goes to the store in one transaction: small, so that commits pass in between. */
export interface RecoverStep extends RecoverSteps {
  /** Batches and dead letters that were found and cannot be taken; with the last step. */
  readonly unreadable: number
}

type Item = RecoveredBatch | RecoveredDeadLetter

const STEP_ITEMS = 100
const STEP_BYTES = 4 * 1024 * 1024

/** `adAccountIds`: of the vault, tried for a group whose queue is lost. */
export function* recover(
  views: readonly View[],
  sealer: Sealer,
  adAccountIds: readonly string[],
): Generator<RecoverStep> {
  const known: Known = { groups: new Map(), deadLetters: new Map() }
  let batches: RecoveredBatch[] = []
  let deadLetters: RecoveredDeadLetter[] = []
  let bytes = 0
  for (const item of readViews(views, { sealer, adAccountIds }, known)) {
    if ('commit' in item) batches.push(item)
    else deadLetters.push(item)
    bytes += 'commit' in item ? item.commit.payload.byteLength : item.content.byteLength
    if (batches.length + deadLetters.length < STEP_ITEMS && bytes < STEP_BYTES) continue
    yield { batches, deadLetters, unreadable: 0 }
    batches = []
    deadLetters = []
    bytes = 0
  }
  const isTaken = [...known.groups.values(), ...known.deadLetters.values()]
  yield { batches, deadLetters, unreadable: isTaken.filter((taken) => !taken).length }
}

/** By id: whether it was taken, or needs not be. */
interface Known {
  readonly groups: Map<number, boolean>
  readonly deadLetters: Map<number, boolean>
}

interface Keys {
  readonly sealer: Sealer
  readonly adAccountIds: readonly string[]
}

/** An item comes from the first view that has it. */
function* readViews(views: readonly View[], keys: Keys, known: Known): Generator<Item> {
  for (const view of views) {
    if (yield* tryView(view, keys, known, false)) continue
    for (const rebuilt of view.rebuild()) yield* tryView(rebuilt, keys, known, true)
  }
}

/** Whether everything could be read. */
function* tryView(
  view: Pick<View, 'open'>,
  keys: Keys,
  known: Known,
  isRebuilt: boolean,
): Generator<Item, boolean> {
  let db: DatabaseSync
  try {
    db = view.open()
  } catch {
    return false
  }
  try {
    const reader = createReader(db)
    yield* readView(reader, keys, known, isRebuilt)
    return reader.isWhole()
  } finally {
    db.close()
  }
}

interface Reader {
  /** The rows before the first error; whether there was none. */
  rows<Row extends readonly unknown[]>(sql: string, ...values: SQLInputValue[]): Generator<Row, boolean>
  /** Until now everything could be read. */
  isWhole(): boolean
  noteLoss(): void
}

function createReader(db: DatabaseSync): Reader {
  const statements = new Map<string, RowQuery<never>>()
  let isWhole = true
  return {
    *rows<Row extends readonly unknown[]>(sql: string, ...values: SQLInputValue[]) {
      try {
        const statement = statements.get(sql) ?? prepareRows<never>(db, sql)
        statements.set(sql, statement)
        yield* statement.iterate(...values) as Iterable<Row>
        return true
      } catch {
        // A statement that failed tells its error once more when it is run again.
        statements.delete(sql)
        isWhole = false
        return false
      }
    },
    isWhole: () => isWhole,
    noteLoss() {
      isWhole = false
    },
  }
}

function* readView(reader: Reader, keys: Keys, known: Known, isRebuilt: boolean): Generator<Item> {
  const queues = readQueues(reader)
  const openBatch = createBatchOpening(reader, keys, queues)
  // Without its row there, what shows in a rebuilt tree is gone.
  const queued = listQueued(reader, queues)
  const dead = new Set<number>()
  const isDeadWhole = ['ASC', 'DESC'].every((order) =>
    addIds(
      reader,
      dead,
      `SELECT id FROM dead_letters INDEXED BY dead_letters_by_death ORDER BY died_at_ms ${order}`,
    ),
  )

  function* take<Taken>(
    ids: Iterable<number>,
    taken: Map<number, boolean>,
    read: (id: number) => Taken | 'acknowledged' | undefined,
  ) {
    for (const id of ids) {
      if (taken.get(id) === true) continue
      const item = read(id)
      taken.set(id, item !== undefined)
      if (item === undefined) reader.noteLoss()
      else if (item !== 'acknowledged') yield item
    }
  }
  const batchIds =
    isRebuilt && queued.isWhole ? queued.ids : [...listIds(reader, 'payloads', 'batch_id'), ...queued.ids]
  yield* take(batchIds, known.groups, (id) => readBatch(reader, openBatch, id))
  const deadLetterIds = isRebuilt && isDeadWhole ? dead : [...listIds(reader, 'dead_letters', 'id'), ...dead]
  yield* take(deadLetterIds, known.deadLetters, (id) => readDeadLetter(reader, keys.sealer, queues, id))
}

/** What the table and the index of its accounts say of each: more than one thing where one of them is damaged. */
type Queues = ReadonlyMap<number, readonly QueueKey[]>

function readQueues(reader: Reader): Queues {
  const queues = new Map<number, QueueKey[]>()
  for (const order of [
    'NOT INDEXED ORDER BY queue_id',
    'NOT INDEXED ORDER BY queue_id DESC',
    'ORDER BY ad_account_id, is_test',
    'ORDER BY ad_account_id DESC, is_test DESC',
  ]) {
    const sql = `SELECT ${number('queue_id')}, ad_account_id, is_test FROM queues ${order}`
    for (const [queueId, adAccountId, isTest] of reader.rows<[number, unknown, unknown]>(sql)) {
      if (typeof adAccountId !== 'string' || !/^\d{1,18}$/.test(adAccountId)) continue
      if (isTest !== 0 && isTest !== 1) continue
      const queue = { adAccountId, isTest: isTest === 1 }
      const known = queues.get(queueId) ?? []
      if (!known.some((one) => isSame(one, queue))) queues.set(queueId, [...known, queue])
    }
  }
  return queues
}

function isSame(one: QueueKey, other: QueueKey): boolean {
  return one.adAccountId === other.adAccountId && one.isTest === other.isTest
}

interface Opened {
  readonly queue: QueueKey
  readonly content: Uint8Array
}

type OpenBatch = (batchId: number, queueId: number, sealed: Uint8Array) => Opened | undefined

/** Where the queue is lost: only live events are in the dedupe index, with their group. */
function createBatchOpening(reader: Reader, { sealer, adAccountIds }: Keys, queues: Queues): OpenBatch {
  const accounts = new Set([
    ...adAccountIds,
    ...[...queues.values()].flat().map((queue) => queue.adAccountId),
  ])
  const liveQueues = [...accounts].map((adAccountId) => ({ adAccountId, isTest: false }))
  let liveIds: Set<number> | undefined
  return (batchId, queueId, sealed) => {
    const open = (adAccountId: string) => sealer.open(sealed, bindBatch(adAccountId))
    const opened = openFor(queues.get(queueId) ?? [], open)
    if (opened !== undefined) return opened
    liveIds ??= listLive(reader)
    return liveIds.has(batchId) ? openFor(liveQueues, open) : undefined
  }
}

function listLive(reader: Reader): Set<number> {
  const ids = new Set<number>()
  for (const order of ['ASC', 'DESC']) {
    const sql = `SELECT entries FROM dedupe_blocks ORDER BY block_id ${order}`
    for (const [entries] of reader.rows<[unknown]>(sql)) {
      for (const { batchId } of entries instanceof Uint8Array ? listEntries(entries) : []) ids.add(batchId)
    }
  }
  return ids
}

/** Undefined when it opens for no queue, or both for a live one and for tests. */
function openFor(queues: readonly QueueKey[], open: (adAccountId: string) => Uint8Array): Opened | undefined {
  const opened = queues.flatMap((queue) => {
    try {
      return [{ queue, content: open(queue.adAccountId) }]
    } catch {
      return []
    }
  })
  return opened.every(({ queue }) => queue.isTest === opened[0]?.queue.isTest) ? opened[0] : undefined
}

/** Ids of the groups that the queue lists. */
function listQueued(
  reader: Reader,
  queues: Queues,
): { readonly ids: Set<number>; readonly isWhole: boolean } {
  const ids = new Set<number>()
  const isWhole = addIds(reader, ids, 'SELECT batch_id FROM batches')
  for (const order of isWhole ? [] : ['ASC', 'DESC']) {
    const keys = `is_replay ${order}, oldest_event_time_s ${order}, batch_id ${order}`
    addIds(reader, ids, `SELECT batch_id FROM batches ORDER BY queue_id ${order}, ${keys}`)
    for (const queueId of queues.keys()) {
      addIds(reader, ids, `SELECT batch_id FROM batches WHERE queue_id = ? ORDER BY ${keys}`, queueId)
    }
  }
  return { ids, isWhole }
}

/** Whether it came to the end. */
function addIds(reader: Reader, ids: Set<number>, sql: string, ...values: SQLInputValue[]): boolean {
  const rows = reader.rows<[number]>(
    sql.replace(/SELECT (\w+)/, (_, column) => `SELECT ${number(column)}`),
    ...values,
  )
  for (;;) {
    const { done, value } = rows.next()
    if (done) return value
    ids.add(value[0])
  }
}

/** Ids of a table: from below up to the first error, and from above down to one; what is between shows in a rebuilt tree. */
function listIds(reader: Reader, table: string, key: string): Set<number> {
  const ids = new Set<number>()
  const select = `SELECT ${key} FROM ${table} NOT INDEXED ORDER BY ${key}`
  if (!addIds(reader, ids, select)) addIds(reader, ids, `${select} DESC`)
  return ids
}

function readBatch(
  reader: Reader,
  openBatch: OpenBatch,
  batchId: number,
): RecoveredBatch | 'acknowledged' | undefined {
  const [found] = reader.rows<[queueId: number, isReplay: number, oldestEventTimeS: number, sealed: unknown]>(
    `SELECT ${['queue_id', 'is_replay', 'oldest_event_time_s'].map(number).join()}, sealed FROM payloads WHERE batch_id = ?`,
    batchId,
  )
  if (found === undefined) return undefined
  const [queueId, isReplay, oldestEventTimeS, sealed] = found
  const opened = sealed instanceof Uint8Array ? openBatch(batchId, queueId, sealed) : undefined
  if (opened === undefined) return undefined
  const [row] = reader.rows<
    [acknowledged: unknown, attempts: number, receivedAtMs: number, history: string | null]
  >(
    `SELECT acknowledged, ${number('attempts')}, ${number('received_at_ms')}, CAST(history AS TEXT) FROM batches
       WHERE queue_id = ? AND is_replay = ? AND oldest_event_time_s = ? AND batch_id = ?`,
    queueId,
    isReplay,
    oldestEventTimeS,
    batchId,
  )
  // Ids begin each run with the time, in microseconds.
  const [acknowledged, attempts, receivedAtMs, history] = row ?? [null, 0, Math.floor(batchId / 1000), null]
  const pending = omitEvents(
    opened.content,
    acknowledged instanceof Uint8Array ? listPositions(acknowledged) : [],
  )
  if (pending === undefined) return 'acknowledged'
  const events = splitEvents(pending).map(readIdentity)
  return {
    batchId,
    attempts,
    history,
    commit: {
      ...opened.queue,
      payload: pending,
      identities: opened.queue.isTest ? [] : events.flatMap(({ eventName, eventId }) => [eventName, eventId]),
      eventTimesS: events.map(({ eventTimeS }) => eventTimeS),
      invalidCount: 0,
      receivedAtMs,
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
  const numbers = ['queue_id', 'event_time_s', 'attempts', 'first_seen_at_ms', 'died_at_ms'].map(number)
  const texts = ['event_name', 'event_id', 'reason', 'history'].map((column) => `CAST(${column} AS TEXT)`)
  const [row] = reader.rows<
    [
      number,
      number,
      number,
      number,
      number,
      string | null,
      string | null,
      string | null,
      string | null,
      unknown,
      unknown,
    ]
  >(`SELECT ${[...numbers, ...texts].join()}, status, sealed FROM dead_letters WHERE id = ?`, deadLetterId)
  if (row === undefined) return undefined
  const [
    queueId,
    eventTimeS,
    attempts,
    firstSeenAtMs,
    diedAtMs,
    eventName,
    eventId,
    reason,
    history,
    status,
    sealed,
  ] = row
  if (!(sealed instanceof Uint8Array) || (status !== 'rejected' && status !== 'expired')) return undefined
  const opened = openFor(queues.get(queueId) ?? [], (adAccountId) =>
    sealer.open(sealed, bindDeadLetter(adAccountId)),
  )
  return (
    opened && {
      deadLetterId,
      ...opened,
      eventName: eventName ?? '',
      eventId: eventId ?? '',
      eventTimeS,
      status,
      reason: reason ?? '',
      attempts,
      firstSeenAtMs,
      diedAtMs,
      history,
    }
  )
}

/** A damaged value may be of any type, and too large for a number of JavaScript. */
function number(column: string): string {
  return `COALESCE(MIN(MAX(CAST(${column} AS INTEGER), 0), ${Number.MAX_SAFE_INTEGER}), 0)`
}
