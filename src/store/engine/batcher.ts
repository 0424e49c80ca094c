/**
 * Gathers operations while the store runs a group, and runs what has gathered as the next one. While it is idle a group
 * begins at the end of the loop's turn, so that posts that arrive together share one sync of the disk. No added delay
 * when idle, larger groups under load.
 *
 *   idle ──an operation──> scheduled ──the turn ends──> busy ──done, nothing gathered──> idle
 *    │                         ▲   ▲                     │
 *    │           another one, of whatever kind           └─ done, and more has gathered ──> scheduled
 *    │                         │
 *    └──a lone acknowledgement──> held ──HOLD_MS, or drain──> busy
 *
 * No answer waits for an acknowledgement. Where posts come one at a time, that of one post is held until the next one is
 * committed, so that both share a transaction and its sync: half of the transactions. Reads that go through here come
 * after it.
 *
 * What must not be lost is retried, in order and before anything newer, until it is done or `signal` or `drain` ends it:
 * acknowledgements and releases. Everything else rejects with STORE_UNAVAILABLE and can be asked for again.
 */
import { setImmediate as runAfterTurn } from 'node:timers'
import type { SetTimer } from '../../clock.ts'
import { ShuttingDown, StoreUnavailable } from '../../errors.ts'
import type { AnswerOf, Operation, OperationKind, Outcome, Outcomes, RequestOf } from './operations.ts'
import { LARGE_BYTES } from './work.ts'

/** What one transaction carried, for metrics. */
export interface GroupReport {
  readonly operationCount: number
  /** Writing and syncing. */
  readonly durationMs: number
}

export interface BatcherOptions {
  /** One transaction: an outcome for each operation. One at a time. Never rejects. */
  readonly run: (operations: readonly Operation[]) => Promise<Outcomes>
  readonly onGroup: (report: GroupReport) => void
  /** A write of a post failed because of the disk or the database. */
  readonly onWriteFailed?: (error: unknown) => void
  /** Once aborted, nothing is retried: what waits for that is tried a last time. */
  readonly signal?: AbortSignal | undefined
  /** By default Node's own, which keeps the process alive until what is held or retried is written. */
  readonly setTimer?: SetTimer
}

export type Batcher = ReturnType<typeof createBatcher>

interface Entry {
  readonly operation: Operation
  readonly resolve: (answer: never) => void
  readonly reject: (error: unknown) => void
}

const RETRIED: ReadonlySet<OperationKind> = new Set(['acknowledge', 'release'])
/** Only the failures of these show that posts cannot be written. */
const WRITES_OF_POSTS: ReadonlySet<OperationKind> = new Set(['commit', ...RETRIED, 'probeWrite'])

/** Bounds how long the next group waits. */
const MAX_GROUP_OPERATIONS = 1000
/** Of large commits: about one post of 1,000 events, which takes a few milliseconds. */
export const LARGE_GROUP_BYTES = 1024 * 1024
const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 5000
/** A process that is killed meanwhile sends the events again, as when it is killed during the transaction. */
const HOLD_MS = 5

export function createBatcher(options: BatcherOptions) {
  const { run, onGroup, onWriteFailed = () => {}, signal, setTimer = setNodeTimer } = options
  let pending: Entry[] = []
  let isBusy = false
  let isScheduled = false
  let pauseMs = FIRST_PAUSE_MS
  /** Of the held or the retried group; never both, since only an operation that meets an empty queue is held. */
  let cancelTimer = () => {}
  /** Of the last group that had commits. */
  let commitCount = 0
  let isLargeNext = false
  let refusal: Error | undefined
  let onDrained = () => {}
  signal?.addEventListener('abort', flush)

  function schedule(): void {
    if (isBusy || isScheduled) return
    if (isHeld(pending, commitCount)) {
      cancelTimer = setTimer(HOLD_MS, flush)
      return
    }
    isScheduled = true
    runAfterTurn(() => {
      isScheduled = false
      flush()
    })
  }

  function flush(): void {
    cancelTimer()
    if (isBusy) return
    if (pending.length === 0) return onDrained()
    const { group, rest } = takeGroup(pending, isLargeNext)
    isLargeNext = !isLargeNext && rest.some(isLargeCommit)
    pending = rest
    void runGroup(group)
  }

  async function runGroup(entries: readonly Entry[]): Promise<void> {
    const operations = entries.map(({ operation }) => operation)
    const commits = operations.filter(({ kind }) => kind === 'commit').length
    if (commits > 0) commitCount = commits
    isBusy = true
    const startedMs = performance.now()
    const outcomes = await run(operations)
    isBusy = false
    onGroup({ operationCount: entries.length, durationMs: performance.now() - startedMs })
    const again = entries.filter((entry) => !answer(entry, outcomes.get(entry.operation)!))
    const isQuiet = pending.length === 0
    // In front: a later acknowledgement of the same batch must not overtake an earlier one.
    pending = [...again, ...pending]
    if (again.length === 0) pauseMs = FIRST_PAUSE_MS
    else if (isQuiet) {
      cancelTimer = setTimer(pauseMs, flush)
      pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)
      return
    }
    if (pending.length > 0) schedule()
    else onDrained()
  }

  /** False for what has to be retried. */
  function answer({ operation: { kind }, resolve, reject }: Entry, outcome: Outcome): boolean {
    switch (outcome.status) {
      case 'done':
        resolve(outcome.answer as never)
        return true
      case 'refused':
        reject(outcome.error)
        return true
      case 'unavailable':
        if (WRITES_OF_POSTS.has(kind)) onWriteFailed(outcome.error)
        if (RETRIED.has(kind) && refusal === undefined && signal?.aborted !== true) return false
        reject(new StoreUnavailable({ cause: outcome.error }))
        return true
    }
  }

  return {
    submit<K extends OperationKind>(this: void, kind: K, request: RequestOf<K>): Promise<AnswerOf<K>> {
      if (refusal !== undefined) return Promise.reject<AnswerOf<K>>(refusal)
      return new Promise<AnswerOf<K>>((resolve, reject) => {
        pending.push({ operation: { kind, request }, resolve, reject })
        schedule()
      })
    },

    /** Takes nothing more; resolves when all that was taken is answered. */
    async drain(): Promise<void> {
      refusal ??= new ShuttingDown()
      const drained = Promise.withResolvers<void>()
      onDrained = drained.resolve
      flush()
      await drained.promise
    },
  }
}

/** Not while posts come together: holding would spread them over several groups. */
function isHeld([first, ...others]: readonly Entry[], commitCount: number): boolean {
  return others.length === 0 && commitCount <= 1 && isAcknowledgementOfOne(first!.operation)
}

function setNodeTimer(delayMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delayMs)
  return () => clearTimeout(timer)
}

/** Large commits get groups of their own, alternating with small ones: a checkout waits for one such group at most. */
function takeGroup(pending: readonly Entry[], isLargeNext: boolean): { group: Entry[]; rest: Entry[] } {
  const large = pending.filter(isLargeCommit)
  const small = pending.filter((entry) => !isLargeCommit(entry))
  const isLarge = large.length > 0 && (isLargeNext || small.length === 0)
  const group = isLarge ? firstLarge(large) : small.slice(0, MAX_GROUP_OPERATIONS)
  const taken = new Set(group)
  return { group, rest: pending.filter((entry) => !taken.has(entry)) }
}

/** At least one commit. */
function firstLarge(large: readonly Entry[]): Entry[] {
  let bytes = 0
  const end = large.findIndex(
    ({ operation: { request } }) =>
      (bytes += (request as RequestOf<'commit'>).payload.byteLength) > LARGE_GROUP_BYTES,
  )
  return large.slice(0, end < 0 ? large.length : Math.max(1, end))
}

function isLargeCommit({ operation: { kind, request } }: Entry): boolean {
  return kind === 'commit' && (request as RequestOf<'commit'>).payload.byteLength >= LARGE_BYTES
}

function isAcknowledgementOfOne({ kind, request }: Operation): boolean {
  return kind === 'acknowledge' && (request as RequestOf<'acknowledge'>).length === 1
}
