/**
 * What the store needs now and then: it forgets what was seen longer ago than DEDUPE_HOURS, makes dead letters of waiting
 * events that grew too old, and deletes what is too old itself, or too much, of dead letters and of the event trail. What
 * destroys by the clock is not done while that is in doubt.
 */
import type { Clock } from '../clock.ts'
import { codeOf, type Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Settings } from '../settings.ts'
import type { FrontStore } from './store.ts'

export interface HousekeepingOptions {
  readonly store: FrontStore
  readonly settings: Pick<
    Settings,
    'DEDUPE_HOURS' | 'MAX_EVENT_AGE_HOURS' | 'DEAD_LETTER_DAYS' | 'TRAIL_HOURS'
  >
  readonly metrics: Pick<Metrics, 'events' | 'deadLetters' | 'deadLettersDeleted'>
  /** False while the wall clock is in doubt: what is not done now is done the next time. */
  readonly isClockTrusted: () => boolean
  readonly clock: Clock
  readonly log: Log
}

/** Something to do again and again. */
interface Chore {
  readonly everyMs: number
  readonly failure: string
  run(): Promise<void>
}

const HOUR_MS = 3_600_000
/** Each time the store walks over all that was seen; a little late costs nothing but room. */
const FORGET_EVERY_MS = 10 * 60_000
const EXPIRE_EVERY_MS = 60_000
/** What passes their part of the store is deleted by then; SQLite does that itself. */
const TRIM_EVERY_MS = 10_000
const TOLD_EVERY_MS = 60_000
/** In steps, between which commits go on. */
const BATCHES_PER_STEP = 100
const DEAD_LETTERS_PER_STEP = 500
const TRAIL_ROWS_PER_STEP = 500

export function keepHouse(options: HousekeepingOptions): { close(): void } {
  const { store, settings, metrics, isClockTrusted, clock, log } = options
  const cancels = new Set<() => void>()
  let isClosed = false

  const forget: Chore = {
    everyMs: FORGET_EVERY_MS,
    failure: 'store cannot forget',
    async run() {
      // Read before the question: a clock that is set in between must not be believed.
      const seenBeforeMs = clock.wallMs() - settings.DEDUPE_HOURS * HOUR_MS
      if (isClockTrusted()) await store.trimDedupe(seenBeforeMs)
    },
  }

  const expire: Chore = {
    everyMs: EXPIRE_EVERY_MS,
    failure: 'store cannot expire events',
    async run() {
      const oldestEventTimeS = Math.floor((clock.wallMs() - settings.MAX_EVENT_AGE_HOURS * HOUR_MS) / 1000)
      while (!isClosed && isClockTrusted()) {
        const limits = { oldestEventTimeS, limit: BATCHES_PER_STEP }
        const expired = await store.expire({ ...limits, nowMs: clock.wallMs() })
        if (expired === 0) return
        metrics.events.inc({ outcome: 'expired' }, expired)
        metrics.deadLetters.inc({ reason: 'too_old' }, expired)
      }
    },
  }

  let untold = 0
  let toldAtMs = -Infinity

  const trim: Chore = {
    everyMs: TRIM_EVERY_MS,
    failure: 'store cannot delete dead letters',
    async run() {
      while (!isClosed) {
        // Read before the question, as above.
        const tooOldMs = clock.wallMs() - settings.DEAD_LETTER_DAYS * 24 * HOUR_MS
        const diedBeforeMs = isClockTrusted() ? tooOldMs : 0
        const step = await store.trimDeadLetters({ diedBeforeMs, limit: DEAD_LETTERS_PER_STEP })
        if (step.tooOld + step.overPart === 0) break
        metrics.deadLettersDeleted.inc({ reason: 'too_old' }, step.tooOld)
        metrics.deadLettersDeleted.inc({ reason: 'store_part_full' }, step.overPart)
        untold += step.overPart
      }
      const nowMs = clock.monotonicMs()
      if (untold === 0 || nowMs - toldAtMs < TOLD_EVERY_MS) return
      log.warn(
        { events: untold, reason: 'dead_letters_full' },
        'the oldest dead letters were deleted: there are more than their part of STORE_LIMIT_BYTES holds',
      )
      untold = 0
      toldAtMs = nowMs
    },
  }

  const trimTrail: Chore = {
    everyMs: TRIM_EVERY_MS,
    failure: 'store cannot delete old events of the trail',
    async run() {
      let deleted = 0
      do {
        const tooOldMs = clock.wallMs() - settings.TRAIL_HOURS * HOUR_MS
        const receivedBeforeMs = isClockTrusted() ? tooOldMs : 0
        deleted = await store.trimTrail({ receivedBeforeMs, limit: TRAIL_ROWS_PER_STEP })
      } while (deleted > 0 && !isClosed)
    },
  }

  function doLater(chore: Chore, delayMs: number): void {
    const cancel = clock.after(delayMs, () => {
      cancels.delete(cancel)
      void chore
        .run()
        .catch((error: unknown) => {
          // A store that closes lets a walk go at its next step.
          if (!isClosed) log.error({ code: codeOf(error) }, chore.failure)
        })
        .then(() => {
          if (!isClosed) doLater(chore, chore.everyMs)
        })
    })
    cancels.add(cancel)
  }

  // Soon after the start, for relays that are started again more often than this.
  doLater(forget, FORGET_EVERY_MS / 10)
  doLater(expire, EXPIRE_EVERY_MS)
  doLater(trim, TRIM_EVERY_MS)
  doLater(trimTrail, TRIM_EVERY_MS)

  return {
    close() {
      isClosed = true
      for (const cancel of cancels) cancel()
    },
  }
}
