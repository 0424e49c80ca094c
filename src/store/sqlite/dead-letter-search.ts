/**
 * Finds dead letters, from new to old. One step looks at a bounded number of rows, whether they match or not: a filter
 * that matches little in a long list must not keep commits waiting.
 */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type { DeadLetter, DeadLetterFilter, DeadLetterQuery } from '../store.ts'
import { prepareObjects, prepareRows, type RowQuery } from './connection.ts'
import type { NewDeadLetter } from './dead-letter-rows.ts'
import { unpackHistory } from '../history.ts'
import { openDeadLetter } from '../dead-letter.ts'
import type { DeadLetterPage } from '../engine/protocol.ts'
import type { QueueTables } from './queue-tables.ts'

/** A few milliseconds' walk. */
const STEP_ROWS = 5000

const COLUMNS = `id, queue_id AS queueId, event_name AS eventName, event_id AS eventId, event_time_s AS eventTimeS, status,
  reason, attempts, first_seen_at_ms AS firstSeenAtMs, died_at_ms AS diedAtMs, history, sealed`

export interface DeadLetterRow extends NewDeadLetter {
  readonly id: number
}

export interface DeadLetterStep {
  readonly rows: readonly DeadLetterRow[]
  /** Where the next step starts; undefined when nothing is left. */
  readonly beforeId: number | undefined
}

export type DeadLetterWalk = (query: DeadLetterQuery) => DeadLetterStep

export function createDeadLetterWalk(db: DatabaseSync): DeadLetterWalk {
  const stepEnd = prepareRows<[id: number]>(
    db,
    `SELECT id FROM dead_letters WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
  )
  const queries = new Map<string, RowQuery<DeadLetterRow>>()

  function prepare(conditions: readonly string[]): RowQuery<DeadLetterRow> {
    const where = ['id >= ? AND id < ?', ...conditions].join(' AND ')
    let query = queries.get(where)
    if (query === undefined) {
      query = prepareObjects<DeadLetterRow>(
        db,
        `SELECT ${COLUMNS} FROM dead_letters WHERE ${where} ORDER BY id DESC LIMIT ?`,
      )
      queries.set(where, query)
    }
    return query
  }

  return function walk({ limit, beforeId = Number.MAX_SAFE_INTEGER, ...filter }) {
    const conditions = conditionsOf(filter)
    // Dead letters that are named by their ids are found without a walk.
    const endId = filter.ids === undefined ? stepEnd.get(beforeId)?.[0] : undefined
    const values = conditions.map(([, value]) => value)
    const rows = prepare(conditions.map(([sql]) => sql)).all(endId ?? 0, beforeId, ...values, limit)
    return { rows, beforeId: rows.length === limit ? rows.at(-1)?.id : endId }
  }
}

type Condition = readonly [sql: string, value: SQLInputValue]

function conditionsOf({
  ids,
  adAccountId,
  isTest,
  status,
  reason,
  eventName,
}: DeadLetterFilter): Condition[] {
  const conditions: Condition[] = []
  const add = (sql: string, value: SQLInputValue | undefined) => {
    if (value !== undefined) conditions.push([sql, value])
  }
  add('id IN (SELECT value FROM json_each(?))', ids && JSON.stringify(ids))
  add('queue_id IN (SELECT queue_id FROM queues WHERE ad_account_id = ?)', adAccountId)
  add(
    'queue_id IN (SELECT queue_id FROM queues WHERE is_test = ?)',
    isTest === undefined ? undefined : Number(isTest),
  )
  add('status = ?', status)
  add('reason = ?', reason)
  add('event_name = ?', eventName)
  return conditions
}

export function createDeadLetterSearch(
  { queues, sealer }: QueueTables,
  walk: DeadLetterWalk,
): (query: DeadLetterQuery) => DeadLetterPage {
  function show(deadLetter: DeadLetterRow): DeadLetter {
    const { queueId, eventTimeS: _, sealed, history, ...row } = deadLetter
    const queue = queues.keyOf(queueId)
    const message = openDeadLetter(sealer, queue.adAccountId, sealed)?.message ?? ''
    return { ...queue, ...row, message, history: unpackHistory(history) }
  }

  return (query) => {
    const { rows, beforeId } = walk(query)
    return { deadLetters: rows.map(show), beforeId }
  }
}
