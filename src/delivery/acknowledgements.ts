/**
 * Final outcomes: noted in the batch, counted, written to the store, and given to the post that waits for them.
 *
 * An event that was delivered without an acknowledgement in the store is sent again after a restart. So calls stop soon
 * when the store cannot write (`isBehind`). Posts go on: many unwritten outcomes are usual where many accounts call, and
 * the next commit writes them. Posts stop only when one has waited for seconds (`isStuck`).
 */
import type { DeadEvent, Acknowledgement } from '../store/store.ts'
import type { CallReference } from '../store/trail.ts'
import { note, withEntry, type EventOutcome, type Slice } from './batch.ts'
import type { Background } from './background.ts'
import type { DeliveryOptions } from './options.ts'
import type { WaitingPosts } from './waiting-posts.ts'

export interface AcknowledgementsOptions extends Pick<
  DeliveryOptions,
  'store' | 'clock' | 'metrics' | 'log'
> {
  readonly waitingPosts: WaitingPosts
  readonly background: Background
  /** Called when the backlog of acknowledgements has drained. */
  readonly onCaughtUp: () => void
}

/** A slice, and one final outcome per event of it. */
export interface Decided {
  readonly slice: Slice
  readonly outcomes: readonly EventOutcome[]
}

/** `reason`: a stable word, for events that are not delivered. `call`: where the outcomes come from. */
export type Acknowledge = (decided: readonly Decided[], reason: string, call?: CallReference) => void

export interface Acknowledgements {
  readonly acknowledge: Acknowledge
  /** Outcomes wait too long to be written, or too many do: no call should leave. */
  isBehind(): boolean
  /** Outcomes wait too long to be written: no post should be taken. */
  isStuck(): boolean
}

/** No slow disk takes longer. */
const STUCK_AFTER_MS = 5000
/** So many calls' outcomes may be unwritten. */
const MOST_UNWRITTEN = 64

export function createAcknowledgements(options: AcknowledgementsOptions): Acknowledgements {
  const { store, waitingPosts, background, clock, metrics, log, onCaughtUp } = options
  /** When each write began, oldest first. */
  const unwritten = new Map<object, number>()
  let wasBehind = false

  /** Notes and counts; answers what the store has to write. */
  function decide({ slice, outcomes }: Decided, reason: string, call?: CallReference): Acknowledgement {
    const { batch, positions, attempts, history } = slice
    const delivered: number[] = []
    const dead: DeadEvent[] = []
    outcomes.forEach((outcome, place) => {
      const index = positions[place]!
      note(batch, index, outcome)
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
    metrics.countEvents(batch.adAccountId, 'delivered', delivered.length)
    for (const { status } of dead) metrics.countEvents(batch.adAccountId, status, 1)
    if (dead.length > 0) metrics.deadLetters.inc({ reason }, dead.length)
    const isWhole = positions.length === batch.outcomes.length
    const { batchId } = batch
    return {
      batchId,
      delivered: isWhole ? 'rest' : delivered,
      dead,
      acknowledgedAtMs: clock.wallMs(),
      call,
      failures: history,
    }
  }

  function isStuck(): boolean {
    const [oldestMs = Infinity] = unwritten.values()
    return oldestMs + STUCK_AFTER_MS < clock.monotonicMs()
  }

  function isBehind(): boolean {
    const isLate = isStuck()
    if (!isLate && unwritten.size < MOST_UNWRITTEN) return false
    if (!wasBehind && isLate) log.error({ reason: 'acknowledgements_unwritten' }, 'calls wait for the store')
    wasBehind = true
    return true
  }

  async function write(acknowledgements: readonly Acknowledgement[]): Promise<void> {
    const began = {}
    unwritten.set(began, clock.monotonicMs())
    const isWritten = await background.persist('store cannot acknowledge', () =>
      store.acknowledge(acknowledgements),
    )
    // One by one: a faulty one must not fail the others.
    if (!isWritten && acknowledgements.length > 1) {
      for (const one of acknowledgements)
        await background.persist('store cannot acknowledge', () => store.acknowledge([one]))
    }
    unwritten.delete(began)
    if (!wasBehind || isBehind()) return
    wasBehind = false
    onCaughtUp()
  }

  function acknowledge(decided: readonly Decided[], reason: string, call?: CallReference): void {
    const acknowledgements = decided.map((one) => decide(one, reason, call))
    background.add(write(acknowledgements))
    // After the write: a corrected post must not find the rejected event in the dedupe index.
    for (const { slice } of decided)
      if (slice.batch.pendingCount === 0) waitingPosts.done(slice.batch.batchId)
  }

  return { acknowledge, isBehind, isStuck }
}
