/** Final verdicts: noted in the parcel, counted, written to the store, and told to the post that waits. */
import type { Clock } from '../clock.ts'
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
}

/** A piece, and one final verdict per event of it. */
export interface Decided {
  readonly piece: Piece
  readonly outcomes: readonly EventOutcome[]
}

/** `reason`: a stable word for the events that are not delivered. */
export type Settle = (decided: readonly Decided[], reason: string) => void

export function createSettle(options: SettlingOptions): Settle {
  const { store, waits, running, persist, clock, metrics } = options

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
    const isWhole = positions.length === parcel.outcomes.length
    const { parcelId } = parcel
    return { parcelId, delivered: isWhole ? 'rest' : delivered, dead, settledAtMs: clock.wallMs() }
  }

  return (decided, reason) => {
    const settlements = decided.map((one) => decide(one, reason))
    running.add(persist('store cannot settle', () => store.settle(settlements)).then(() => undefined))
    // Only now: a post that learns of a refusal and comes again must find the event forgotten.
    for (const { piece } of decided) if (piece.parcel.pendingCount === 0) waits.done(piece.parcel.parcelId)
  }
}
