/**
 * Runs a group of operations in one transaction, and so with one sync of the disk.
 *
 *   together ──ok──> all done
 *      │ an operation is at fault            │ the disk is at fault
 *      ▼                                     ▼
 *   one by one: only the faulty           commits are refused, nothing of them is taken;
 *   one is refused                        the rest, which may free capacity, is tried once more without them,
 *                                         then with the room that can be made, and then one by one: what needs
 *                                         no room must not wait for what does
 *
 * Damage of the file is thrown.
 *
 * An answer leaves only after COMMIT. A rollback also undoes changes in memory: leases, counts, the dedupe index, the open trail.
 */
import { readFor, runChanges, type Answers } from '../core/run-operations.ts'
import type { Steps } from '../core/sql.ts'
import { writeTotals } from '../core/totals.ts'
import { trim } from '../core/trim.ts'
import {
  failAll,
  type Operation,
  type OperationKind,
  type Outcomes,
  type RequestOf,
} from '../engine/operations.ts'
import type { TrimRequest, TrimStep } from '../store.ts'
import { createCapacityCheck } from './capacity.ts'
import { writeBackWal } from './connection.ts'
import { isDamage, isNoSpace, isPlaceAtFault } from './failures.ts'
import { OWNER_ID, type QueueTables } from './queue-tables.ts'
import { addRecovered } from './recover.ts'
import type { ReservedSpace } from './reserved-space.ts'

/** The reserved space is not given up for these. The probe shows whether a commit would be taken. */
const REFUSABLE: ReadonlySet<OperationKind> = new Set(['commit', 'probeWrite'])

/** Most trail rows that a transaction deletes to make room for newer ones; `trim` deletes the rest. */
const TRIMMED_ROWS = 32
/** Most dead letters that a transaction deletes for each that it adds. */
const REMOVED_PER_DEAD_LETTER = 16

export interface RunOptions {
  readonly reservedSpace: ReservedSpace
  readonly path: string
  readonly limitBytes: number
}

/** Throws, and has changed nothing, when the file is corrupt. */
export type RunOperations = (operations: readonly Operation[]) => Outcomes

/** Refuses what there is no room for, and runs the rest. */
export function createWriter(tables: QueueTables, options: RunOptions): RunOperations {
  const { db, run, totals, trail, tail, openTrail, undo, limits } = tables
  const { reservedSpace, path, limitBytes } = options
  const capacityCheck = createCapacityCheck(tables, path, limitBytes)
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  /** Dead letters that were deleted to make room for newer ones, and that no `trim` has reported yet. */
  let removed = 0

  function* perform(operations: readonly Operation[]): Steps<Answers> {
    const answers = yield* runChanges(tables, operations)
    for (const operation of operations) {
      if (operation.kind === 'recover') {
        answers.set(operation, yield* addRecovered(tables, operation.request as RequestOf<'recover'>))
      }
    }
    yield* openTrail.write()
    yield* keepWithin(operations, answers)
    yield* writeTotals(totals, OWNER_ID)
    for (const operation of operations) {
      const { kind, request } = operation
      if (kind === 'size') {
        reservedSpace.keep()
        answers.set(operation, capacityCheck.size())
      }
      const read = readFor(kind, tables, request)
      if (read !== undefined) answers.set(operation, yield* read)
    }
    return answers
  }

  /** In the transaction that adds to them: a burst of rejected events must not fill the file before housekeeping runs. */
  function* keepWithin(operations: readonly Operation[], answers: Answers): Steps<void> {
    const before = removed
    undo.push(() => void (removed = before))
    for (const operation of operations) {
      if (operation.kind !== 'trim' || (operation.request as TrimRequest).table === 'trail') continue
      const step = answers.get(operation) as TrimStep
      answers.set(operation, { ...step, overPart: step.overPart + removed })
      removed = 0
    }
    if (totals.sizes().deadLetterBytes > limits.deadLetterBytes) {
      const added = totals.sum('rejected') + totals.sum('expired')
      const limit = REMOVED_PER_DEAD_LETTER * Math.max(0, added)
      removed += (yield* trim(tables, { table: 'dead_letters', beforeMs: 0, limit })).overPart
    }
    if (totals.sizes().trailBytes > limits.trailBytes) {
      yield* trim(tables, { table: 'trail', beforeMs: 0, limit: TRIMMED_ROWS })
    }
  }

  function transact(operations: readonly Operation[]): Outcomes {
    try {
      openTrail.begin()
      begin.run()
      const answers = run(perform(operations))
      commit.run()
      tail.note(trail.touched)
      return new Map(operations.map((one) => [one, { status: 'done', answer: answers.get(one) }]))
    } catch (error) {
      rollBack(tables)
      throw error
    } finally {
      undo.length = 0
      trail.touched.clear()
    }
  }

  const runOneByOne = (operations: readonly Operation[]): Outcomes =>
    new Map(operations.flatMap((operation) => [...runGroup([operation])]))

  function runGroup(operations: readonly Operation[]): Outcomes {
    if (operations.length === 0) return new Map()
    try {
      return transact(operations)
    } catch (error) {
      if (isDamage(error)) throw error
      if (isPlaceAtFault(error)) return runWithoutPlace(operations, error)
      if (operations.length > 1) return runOneByOne(operations)
      return failAll(operations, 'refused', error)
    }
  }

  function runWithoutPlace(operations: readonly Operation[], error: unknown): Outcomes {
    const others = operations.filter(({ kind }) => !REFUSABLE.has(kind))
    if (others.length < operations.length) {
      return failAll(operations, 'unavailable', error, runGroup(others))
    }
    if (isNoSpace(error) && reservedSpace.giveUp()) {
      writeBackWal(db)
      return runGroup(operations)
    }
    return operations.length > 1 ? runOneByOne(operations) : failAll(operations, 'unavailable', error)
  }

  return (operations) => capacityCheck.run(operations, runGroup)
}

function rollBack({ db, undo, totals }: QueueTables): void {
  for (const step of undo.toReversed()) step()
  totals.forget()
  try {
    // SQLite may have rolled back by itself, for example when the disk is full.
    if (db.isTransaction) db.exec('ROLLBACK')
  } catch {
    // The error before it is reported.
  }
}
