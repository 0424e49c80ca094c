/**
 * Runs a group of operations in one transaction, and so with one sync of the disk.
 *
 *   together ──ok──> all done
 *      │ an operation is at fault            │ the disk is at fault
 *      ▼                                     ▼
 *   apart: a savepoint each,              commits are refused, nothing of them is taken;
 *   only the faulty one is refused        the rest, which may free capacity, is tried once more without them,
 *                                         then with the room that can be made, and then one by one: what needs
 *                                         no room must not wait for what does
 *
 * A damaged file is thrown: nothing can be done in it any more.
 *
 * An answer leaves only after COMMIT. What lives in memory (leases, counts, what was seen) follows the transaction back.
 */
import type { VaultStore } from '../../vault/vault-store.ts'
import { isDamage, isFull, isNoSpace, isPlaceAtFault } from './connection.ts'
import { toTravelError } from '../engine/protocol.ts'
import type { AnswerOf, Operation, OperationKind, Outcome, RequestOf } from '../engine/protocol.ts'
import type { QueueTables } from './queue-tables.ts'

export type Handlers<K extends OperationKind = OperationKind> = {
  [Kind in K]: (request: RequestOf<Kind>) => AnswerOf<Kind>
}

export type QueueKind = Exclude<OperationKind, keyof VaultStore>

/** No room is made for them. The probe is there to learn whether a commit would be taken. */
const REFUSABLE: ReadonlySet<OperationKind> = new Set(['commit', 'probeWrite'])

type Perform = (operation: Operation) => Outcome

export interface TransactionOptions {
  readonly tables: QueueTables
  readonly handlers: Handlers<QueueKind>
  /** The disk is full: frees some of it for what cannot wait, and answers whether it could. */
  readonly makeRoom: () => boolean
}

export function createTransactions({ tables, handlers, makeRoom }: TransactionOptions) {
  const { db, queues, leases, deadLetters, dedupe } = tables
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const rollback = db.prepare('ROLLBACK')

  const together: Perform = ({ kind, request }) => {
    const handle = handlers[kind as QueueKind] as (request: unknown) => AnswerOf<OperationKind>
    return { status: 'done', answer: handle(request) }
  }

  const apart: Perform = (operation) => {
    const mark = leases.mark()
    const dedupeMark = dedupe.mark()
    const deadLettersMark = deadLetters.mark()
    db.exec('SAVEPOINT operation')
    try {
      const outcome = together(operation)
      queues.flush()
      dedupe.flush()
      db.exec('RELEASE operation')
      return outcome
    } catch (error) {
      if (isPlaceAtFault(error)) throw error
      db.exec('ROLLBACK TO operation; RELEASE operation')
      leases.undoTo(mark)
      dedupe.undoTo(dedupeMark)
      deadLetters.undoTo(deadLettersMark)
      queues.forget()
      return { status: 'refused', error: toTravelError(error) }
    }
  }

  function transact(operations: readonly Operation[], perform: Perform): Outcome[] {
    try {
      begin.run()
      const outcomes = operations.map(perform)
      queues.flush()
      dedupe.flush()
      commit.run()
      leases.keep()
      dedupe.keep()
      deadLetters.keep()
      return outcomes
    } catch (error) {
      leases.undoTo(0)
      dedupe.undoTo(0)
      deadLetters.undoTo(0)
      queues.forget()
      rollBack()
      throw error
    }
  }

  /** SQLite may have rolled back by itself, for example when the disk is full. */
  function rollBack(): void {
    try {
      if (db.isTransaction) rollback.run()
    } catch {
      // What went wrong before it is what counts.
    }
  }

  function attempt(operations: readonly Operation[]): Outcome[] | UnavailablePlace {
    try {
      return transact(operations, together)
    } catch (error) {
      if (isDamage(error)) throw error
      if (isPlaceAtFault(error)) return { unavailable: error }
    }
    try {
      return transact(operations, apart)
    } catch (error) {
      if (isDamage(error)) throw error
      return { unavailable: error }
    }
  }

  /** Once more with the room that can be made, if that was what it wanted. */
  function attemptWithRoom(operations: readonly Operation[]): Outcome[] | UnavailablePlace {
    const attempted = attempt(operations)
    if (Array.isArray(attempted) || !isNoSpace(attempted.unavailable) || !makeRoom()) return attempted
    return attempt(operations)
  }

  return function runGroup(operations: readonly Operation[]): Outcome[] {
    const others = operations.filter(({ kind }) => !REFUSABLE.has(kind))
    const hasCommits = others.length < operations.length
    const attempted = hasCommits ? attempt(operations) : attemptWithRoom(operations)
    if (Array.isArray(attempted)) return attempted
    const failed = toOutcome(attempted)
    const retried = hasCommits ? attemptWithRoom(others) : attempted
    const outcomes = Array.isArray(retried) ? retried : runOneByOne(others)
    const next = outcomes.values()
    return operations.map(({ kind }) => (REFUSABLE.has(kind) ? failed : next.next().value!))
  }

  function runOneByOne(operations: readonly Operation[]): Outcome[] {
    return operations.map((operation) => {
      const alone = attempt([operation])
      return Array.isArray(alone) ? alone[0]! : toOutcome(alone)
    })
  }
}

interface UnavailablePlace {
  readonly unavailable: unknown
}

function toOutcome({ unavailable }: UnavailablePlace): Outcome {
  const { code, message } = toTravelError(unavailable)
  return { status: 'unavailable', error: { code: isFull(unavailable) ? 'DISK_FULL' : code, message } }
}
