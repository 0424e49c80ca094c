/** The open queue file with what its operations share, and the one place where these parts are made. */
import type { DatabaseSync } from 'node:sqlite'
import type { Sealer } from '../../vault/seal.ts'
import { prepareRows } from './connection.ts'
import { createLanes, type Lanes } from './lanes.ts'
import { createLeases, type Leases } from './leases.ts'
import { createLetters, type Letters } from './letters.ts'
import type { StoreProblem } from './protocol.ts'
import { createSeen, type Seen } from './seen.ts'

export interface QueueOptions {
  readonly db: DatabaseSync
  readonly sealer: Sealer
  /** When it was opened, in milliseconds since the epoch. */
  readonly openedAtMs: number
  readonly report: (problem: StoreProblem) => void
}

export interface Queue extends QueueOptions {
  readonly lanes: Lanes
  readonly leases: Leases
  readonly letters: Letters
  readonly seen: Seen
  /**
   * Never used before, so that a late settlement cannot hit a stranger: not in this run, nor in an earlier one, nor in a
   * queue file that this one replaced. Microseconds since the epoch begin each run; none takes a million a second.
   */
  readonly nextParcelId: () => number
}

export function createQueue(options: QueueOptions): Queue {
  const { db, openedAtMs, report } = options
  const lanes = createLanes(db)
  for (const difference of lanes.audit()) report({ problem: 'books_off', ...difference })
  const lastId = prepareRows<[parcelId: number]>(db, 'SELECT COALESCE(MAX(parcel_id), 0) FROM payloads').get()
  let parcelId = Math.max(lastId![0], Math.floor(openedAtMs) * 1000)
  return {
    ...options,
    lanes,
    leases: createLeases(),
    letters: createLetters(db, lanes),
    seen: createSeen(db),
    nextParcelId: () => ++parcelId,
  }
}
