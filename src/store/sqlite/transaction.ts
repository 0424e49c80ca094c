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
 * An answer leaves only after COMMIT. A rollback also undoes changes in memory: leases, counts, the dedupe index.
 */
import type { AnswerOf, Operation, OperationKind, Outcome, RequestOf } from '../engine/operations.ts'
import { toTravelError } from '../engine/operations.ts'
import { isDamage, isFull, isNoSpace, isPlaceAtFault } from './failures.ts'
import type { QueueTables } from './queue-tables.ts'

export type Handlers = {
  [Kind in OperationKind]: (request: RequestOf<Kind>) => AnswerOf<Kind>
}

/** The reserved space is not given up for these; the probe must fail where a commit would. */
const REFUSABLE: ReadonlySet<OperationKind> = new Set(['commit', 'probeWrite'])

/** `makeRoom`: the disk is full; frees some of it for what cannot wait, and answers whether it could. */
export function createTransactions(tables: QueueTables, handlers: Handlers, makeRoom: () => boolean) {
  const { db, totals, leases, deadLetters, dedupe, trail } = tables
  const parts = [leases, dedupe, deadLetters, trail]
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const rollback = db.prepare('ROLLBACK')

  function perform({ kind, request }: Operation): Outcome {
    const handle = handlers[kind] as (request: unknown) => AnswerOf<OperationKind>
    return { status: 'done', answer: handle(request) }
  }

  function transact(operations: readonly Operation[]): Outcome[] {
    try {
      begin.run()
      const outcomes = operations.map(perform)
      trail.flush()
      totals.flush()
      dedupe.flush()
      commit.run()
      for (const part of parts) part.keep()
      return outcomes
    } catch (error) {
      for (const part of parts) part.undo()
      totals.forget()
      rollBack()
      throw error
    }
  }

  /** SQLite may have rolled back by itself, for example when the disk is full. */
  function rollBack(): void {
    try {
      if (db.isTransaction) rollback.run()
    } catch {
      // The first error is reported.
    }
  }

  const runOneByOne = (operations: readonly Operation[]) =>
    operations.flatMap((operation) => runGroup([operation]))

  function runGroup(operations: readonly Operation[]): Outcome[] {
    if (operations.length === 0) return []
    try {
      return transact(operations)
    } catch (error) {
      if (isDamage(error)) throw error
      if (isPlaceAtFault(error)) return runWithoutPlace(operations, error)
      if (operations.length > 1) return runOneByOne(operations)
      return [{ status: 'refused', error: toTravelError(error) }]
    }
  }

  function runWithoutPlace(operations: readonly Operation[], error: unknown): Outcome[] {
    const others = operations.filter(({ kind }) => !REFUSABLE.has(kind))
    if (others.length < operations.length) {
      const outcomes = runGroup(others).values()
      return operations.map(({ kind }) => (REFUSABLE.has(kind) ? toOutcome(error) : outcomes.next().value!))
    }
    if (isNoSpace(error) && makeRoom()) return runGroup(operations)
    return operations.length > 1 ? runOneByOne(operations) : [toOutcome(error)]
  }

  return runGroup
}

function toOutcome(error: unknown): Outcome {
  const { code, message } = toTravelError(error)
  return { status: 'unavailable', error: { code: isFull(error) ? 'DISK_FULL' : code, message } }
}
