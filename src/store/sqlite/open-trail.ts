/**
 * Small transactions gather the event trail in the totals' row of the trail, whose page they write anyway, until it is large enough for
 * its table.
 */
import { COUNTERS } from '../core/totals.ts'
import { TRAIL_KEYS } from '../core/tables.ts'
import { query, type Steps } from '../core/sql.ts'
import { fromBucketOn, upToBucket } from '../core/trail-search.ts'
import { countTrail, TRAIL_QUEUE, type NewTrailRow } from '../core/trail.ts'
import type { Transaction } from '../core/transaction.ts'
import type { Run } from './run.ts'

/** What stays open: as much as a row of `totals` holds without a page more. */
const OPEN_LENGTH = 850
const OPEN_EVENTS = 12
const KEY = [TRAIL_QUEUE.adAccountId, TRAIL_QUEUE.isTest] as const

export function createOpenTrail(
  { trail, totals, undo }: Pick<Transaction, 'trail' | 'totals'> & { readonly undo: (() => void)[] },
  run: Run,
) {
  const [stored] = run(
    query<{ open_trail: string | null }>(
      'SELECT open_trail FROM totals WHERE ad_account_id = $1 AND is_test = $2',
      KEY,
    ),
  )
  let text = stored?.open_trail ?? ''
  try {
    trail.open(text)
    trail.rows()
  } catch {
    // Damaged on the disk: they are lost, and written over.
    text = ''
    trail.open()
  }

  function* set(to: string): Steps<void> {
    if (to !== text) yield* query(SET, [...KEY, to])
    text = to
  }

  /** After the bucket's other rows. */
  function* insertRows(rows: readonly NewTrailRow[]): Steps<void> {
    for (const { bucket, received_at_ms: receivedAtMs, ids, entries } of rows)
      yield* query(INSERT, [bucket, receivedAtMs, ids, entries])
    countTrail(totals, rows)
  }

  function* close(): Steps<void> {
    yield* insertRows(trail.rows())
    trail.open()
    yield* set('')
  }

  return {
    /** Before rows are deleted. */
    close,
    /** At the end of a transaction. */
    *write(): Steps<void> {
      if (trail.touched.size === 0) return
      const fresh = trail.size() > OPEN_EVENTS ? undefined : trail.text()
      if (fresh === undefined || fresh.length > OPEN_LENGTH) yield* close()
      else yield* set(fresh)
    },
    /** Of a transaction. */
    begin(): void {
      const before = text
      undo.push(() => trail.open((text = before)))
    },
  }
}

const INSERT = `INSERT INTO trail (seq, bucket, received_at_ms, ids, entries)
  SELECT COALESCE(MAX(seq) + 1, $1 * ${TRAIL_KEYS}), $1, $2, $3, $4 FROM trail
  WHERE ${fromBucketOn('$1')} AND ${upToBucket('$1')}`

const SET = `INSERT INTO totals (ad_account_id, is_test, owner_id, ${COUNTERS.join(', ')}, open_trail)
  VALUES ($1, $2, 0, ${COUNTERS.map(() => 0).join(', ')}, $3)
  ON CONFLICT (ad_account_id, is_test, owner_id) DO UPDATE SET open_trail = excluded.open_trail`
