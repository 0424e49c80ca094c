/**
 * Final verdicts: noted in the parcel, counted, written to the store, and told to the post that waits.
 *
 * What is delivered and not written down is sent again after a restart. So when the store cannot write, calls must stop
 * soon: `isBehind` tells. Posts need not: many verdicts at once are usual where many accounts call, and are written with
 * the next commit. Only where one has waited for long, as `isStuck` tells, is the store not what it should be.
 */
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { DeadEvent, Settlement, Store } from '../store/store.ts'
import { note, withEntry, type EventOutcome, type Piece } from './parcel.ts'
import type { Persist } from './persist.ts'
import type { Running } from './running.ts'
import type { Waits } from './waits.ts'

export interface SettlingOptions {
  readonly store: Store
  readonly waits: Waits
  readonly running: Running
  readonly persist: Persist
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Log
  /** Verdicts were written while calls had to wait for that. */
  readonly onCaughtUp: () => void
}

/** A piece, and one final verdict per event of it. */
export interface Decided {
  readonly piece: Piece
  readonly outcomes: readonly EventOutcome[]
}

/** `reason`: a stable word for the events that are not delivered. */
export type Settle = (decided: readonly Decided[], reason: string) => void

export interface Settling {
  readonly settle: Settle
  /** Verdicts wait too long to be written, or too many do: no call should leave. */
  isBehind(): boolean
  /** Verdicts wait too long to be written: no post should be taken. */
  isStuck(): boolean
}

/** A write that takes longer waits for more than a slow disk. */
const STUCK_AFTER_MS = 5000
/** Calls' worth of verdicts that may be unwritten at once. */
const MOST_UNWRITTEN = 64

export function createSettling(options: SettlingOptions): Settling {
  const { store, waits, running, persist, clock, metrics, log, onCaughtUp } = options
  /** When each write began, oldest first. */
  const unwritten = new Map<object, number>()
  let wasBehind = false

  /** Notes and counts; answers what the store has to write. */
  function decide({ piece, outcomes }: Decided, reason: string): Settlement {
    const { parcel, positions, attempts, history } = piece
    const delivered: number[] = []
    const dead: DeadEvent[] = []
    outcomes.forEach((outcome, place) => {
      const index = positions[place]!
      note(parcel, index, outcome)
      if (outcome.status === 'delivered') delivered.push(index)
      if (outcome.status === 'rejected' || outcome.status === 'expired') {
        const { status, errorMessage: message } = outcome
        dead.push({
          index,
          status,
          reason,
          message,
          attempts: attempts + Number(status === 'rejected'),
          history: withEntry(history, { atMs: clock.wallMs(), reason }),
        })
      }
    })
    metrics.events('delivered', delivered.length)
    for (const { status } of dead) metrics.events(status, 1)
    if (dead.length > 0) metrics.died(reason, dead.length)
    const isWhole = positions.length === parcel.outcomes.length
    const { parcelId } = parcel
    return { parcelId, delivered: isWhole ? 'rest' : delivered, dead, settledAtMs: clock.wallMs() }
  }

  function isStuck(): boolean {
    const [oldestMs = Infinity] = unwritten.values()
    return oldestMs + STUCK_AFTER_MS < clock.monotonicMs()
  }

  function isBehind(): boolean {
    const isLate = isStuck()
    if (!isLate && unwritten.size < MOST_UNWRITTEN) return false
    if (!wasBehind && isLate) log.error({ reason: 'verdicts_unwritten' }, 'calls wait for the store')
    wasBehind = true
    return true
  }

  async function write(settlements: readonly Settlement[]): Promise<void> {
    const began = {}
    unwritten.set(began, clock.monotonicMs())
    const isWritten = await persist('store cannot settle', () => store.settle(settlements))
    // One of them may be at fault, and must not take the others with it.
    if (!isWritten && settlements.length > 1) {
      for (const one of settlements) await persist('store cannot settle', () => store.settle([one]))
    }
    unwritten.delete(began)
    if (!wasBehind || isBehind()) return
    wasBehind = false
    onCaughtUp()
  }

  function settle(decided: readonly Decided[], reason: string): void {
    const settlements = decided.map((one) => decide(one, reason))
    running.add(write(settlements))
    // Only now: a post that learns of a refusal and comes again must find the event forgotten.
    for (const { piece } of decided) if (piece.parcel.pendingCount === 0) waits.done(piece.parcel.parcelId)
  }

  return { settle, isBehind, isStuck }
}
