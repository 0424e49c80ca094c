/**
 * Final outcomes: noted in the batch, counted, written to the store, and returned to the post that waits for them.
 *
 * An event that was delivered without an acknowledgement in the store is sent again after a restart. So calls stop soon
 * when the store cannot write (`isBehind`). Posts are still accepted: many unwritten outcomes are usual where many accounts call, and
 * the next commit writes them. Posts stop only when one has waited for seconds (`isStuck`).
 */
import { setImmediate as endOfTurn } from 'node:timers/promises'
import { freeBytes } from '../store/payload.ts'
import type { DeadEvent, Acknowledgement } from '../store/store.ts'
import type { CallReference } from '../store/trail.ts'
import { note, withEntry, type EventOutcome, type Slice } from './batch.ts'
import type { Background } from './background.ts'
import type { DeliveryOptions } from './options.ts'
import type { Prefetch } from './prefetch.ts'
import type { Queue } from './queue.ts'

export interface AcknowledgementsOptions extends DeliveryOptions {
  readonly prefetch: Prefetch
  readonly background: Background
  /** Called when the backlog of acknowledgements has drained. */
  readonly onCaughtUp: () => void
}

/** A slice, and one final outcome per event of it. */
export interface Decided {
  readonly slice: Slice
  readonly outcomes: readonly EventOutcome[]
}

/** What the calls that end in one turn of the loop decide is one operation of the store: fewer messages to its thread. */
interface Gathered {
  /** Monotonic. */
  readonly sinceMs: number
  readonly acknowledgements: Acknowledgement[]
  callCount: number
}

export type Acknowledgements = ReturnType<typeof createAcknowledgements>

/** No slow disk takes longer. */
const STUCK_AFTER_MS = 5000
/** Most calls whose outcomes may be unwritten before no further call leaves. */
const MOST_UNWRITTEN = 64

export function createAcknowledgements(options: AcknowledgementsOptions) {
  const { store, prefetch, background, clock, metrics, log, onCaughtUp } = options
  /** Oldest first. */
  const unwritten: Gathered[] = []
  let gathering: Gathered | undefined
  let wasBehind = false

  /** What is noted is queued for the store at once: whatever throws then, it must not stay leased until a restart. */
  function decide(
    { acknowledgements }: Gathered,
    decided: Decided,
    reason: string,
    call?: CallReference,
  ): void {
    const { batch, positions, history } = decided.slice
    const { batchId, adAccountId } = batch
    const atMs = clock.wallMs()
    const isWhole = positions.length === batch.outcomes.length
    const { delivered, dead } = noteAll(decided, reason, atMs)
    const rest = { dead, acknowledgedAtMs: atMs, call, failures: history }
    acknowledgements.push({ batchId, delivered: isWhole ? 'rest' : delivered, ...rest })
    metrics.countEvents(adAccountId, 'delivered', delivered.length)
    for (const { status } of dead) metrics.countEvents(adAccountId, status, 1)
    if (dead.length > 0) metrics.deadLetters.inc({ reason }, dead.length)
  }

  /** Outcomes wait too long to be written: no post should be taken. */
  function isStuck(): boolean {
    const [oldest] = unwritten
    return oldest !== undefined && oldest.sinceMs + STUCK_AFTER_MS < clock.monotonicMs()
  }

  /** Outcomes wait too long to be written, or too many do: no call should leave. */
  function isBehind(): boolean {
    const isLate = isStuck()
    const calls = unwritten.reduce((sum, { callCount }) => sum + callCount, 0)
    if (!isLate && calls < MOST_UNWRITTEN) return false
    if (!wasBehind && isLate) log.error({ reason: 'acknowledgements_unwritten' }, 'calls wait for the store')
    wasBehind = true
    return true
  }

  function gather(): Gathered {
    if (gathering === undefined) {
      gathering = { sinceMs: clock.monotonicMs(), acknowledgements: [], callCount: 0 }
      unwritten.push(gathering)
      background.add(endOfTurn().then(flush))
    }
    gathering.callCount += 1
    return gathering
  }

  /** Writes what was decided in this turn of the loop so far. */
  function flush(): void {
    if (gathering !== undefined) background.add(write(gathering))
    gathering = undefined
  }

  async function write(gathered: Gathered): Promise<void> {
    const { acknowledgements } = gathered
    const persist = (some: readonly Acknowledgement[]) =>
      background.persist('store cannot acknowledge', () => store.acknowledge(some))
    // One by one: a faulty one must not fail the others.
    if (!(await persist(acknowledgements)) && acknowledgements.length > 1) {
      for (const one of acknowledgements) await persist([one])
    }
    unwritten.splice(unwritten.indexOf(gathered), 1)
    if (!wasBehind || isBehind()) return
    wasBehind = false
    onCaughtUp()
  }

  /** `reason`: a stable word, for events that are not delivered. `call`: where the outcomes come from. */
  function acknowledge(
    queue: Queue,
    decided: readonly Decided[],
    reason: string,
    call?: CallReference,
  ): void {
    const gathered = gather()
    for (const one of decided) decide(gathered, one, reason, call)
    prefetch.replace(
      queue,
      decided.map(({ slice }) => slice),
      [],
    )
    // V8 counts their bytes as garbage, and would collect all of this thread's after a few large posts.
    for (const { slice } of decided) freeBytes(slice.payload)
    // Posts are answered after the write (both end with the turn): a corrected one must not find the rejected event in the dedupe index.
    for (const { batch } of decided.map(({ slice }) => slice)) if (batch.pendingCount === 0) batch.endWait?.()
  }

  return { acknowledge, flush, isBehind, isStuck }
}

function noteAll({ slice, outcomes }: Decided, reason: string, atMs: number) {
  const { batch, positions, attempts, history } = slice
  const delivered: number[] = []
  const dead: DeadEvent[] = []
  for (const [place, outcome] of outcomes.entries()) {
    const index = positions[place]!
    note(batch, index, outcome)
    if (outcome.status === 'delivered') delivered.push(index)
    else if (outcome.status !== 'queued') {
      const { status, errorMessage: message } = outcome
      const tried = attempts + Number(status === 'rejected')
      dead.push({
        index,
        status,
        reason,
        message,
        attempts: tried,
        history: withEntry(history, { atMs, reason }),
      })
    }
  }
  return { delivered, dead }
}
