/**
 * Periodic work on the store: trims the dedupe index to DEDUPE_HOURS, makes dead letters of waiting events that are too old, and
 * deletes dead letters and rows of the event trail that are too old or too many. Nothing is deleted by age while the wall
 * clock is in doubt.
 */
import { codeOf } from '../errors.ts'
import { repeat, type Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Settings } from '../settings.ts'
import type { FrontStore, TrimRequest } from './store.ts'

export interface HousekeepingOptions {
  readonly store: FrontStore
  readonly settings: Pick<
    Settings,
    'DEDUPE_HOURS' | 'MAX_EVENT_AGE_HOURS' | 'DEAD_LETTER_DAYS' | 'TRAIL_HOURS'
  >
  readonly metrics: Pick<Metrics, 'countEvents' | 'deadLetters' | 'deadLettersDeleted'>
  /** False while the wall clock is in doubt. */
  readonly isClockTrusted: () => boolean
  readonly clock: Clock
  readonly log: Log
}

/** Done periodically, in steps, so that commits run in between. */
interface Chore {
  readonly everyMs: number
  readonly failure: string
  /** Answers whether there may be more to do. */
  step(): Promise<boolean>
}

const HOUR_MS = 3_600_000
/** Each run walks over the whole dedupe index; a delay costs only space. */
const FORGET_EVERY_MS = 10 * 60_000
const EXPIRE_EVERY_MS = 60_000
/** PostgreSQL exceeds the part of dead letters for at most so long; SQLite never does. */
const TRIM_EVERY_MS = 10_000
const LOG_EVERY_MS = 60_000
const BATCHES_PER_STEP = 100
const ROWS_PER_STEP = 500

export function keepHouse(options: HousekeepingOptions): { close(): void } {
  const { clock, log } = options
  let isClosed = false

  async function run(chore: Chore): Promise<void> {
    try {
      while (!isClosed && (await chore.step()));
    } catch (error) {
      // A store that closes ends a walk at its next step.
      if (!isClosed) log.error({ code: codeOf(error) }, chore.failure)
    }
  }

  const cancels = listChores(options).map((chore) =>
    // Soon after the start, for relays that are started again more often than every ten minutes.
    repeat(clock, chore.everyMs, () => run(chore), Math.min(chore.everyMs, EXPIRE_EVERY_MS)),
  )

  return {
    close() {
      isClosed = true
      for (const cancel of cancels) cancel()
    },
  }
}

function listChores(options: HousekeepingOptions): readonly Chore[] {
  const { store, settings, metrics, isClockTrusted, clock, log } = options
  let unlogged = 0
  let loggedAtMs = -Infinity

  /** Undefined while the clock is in doubt. The time is read first: a clock that is set in between must not be used. */
  function trustedBeforeMs(hours: number): number | undefined {
    const beforeMs = clock.wallMs() - hours * HOUR_MS
    return isClockTrusted() ? beforeMs : undefined
  }

  const trim = (table: TrimRequest['table'], hours: number) =>
    store.trim({ table, beforeMs: trustedBeforeMs(hours) ?? 0, limit: ROWS_PER_STEP })

  function logDeleted(): void {
    const nowMs = clock.monotonicMs()
    if (unlogged === 0 || nowMs - loggedAtMs < LOG_EVERY_MS) return
    log.warn(
      { events: unlogged, reason: 'dead_letters_full' },
      'the oldest dead letters were deleted: there are more than their part of STORE_LIMIT_BYTES holds',
    )
    unlogged = 0
    loggedAtMs = nowMs
  }

  return [
    {
      everyMs: FORGET_EVERY_MS,
      failure: 'store cannot forget',
      async step() {
        const seenBeforeMs = trustedBeforeMs(settings.DEDUPE_HOURS)
        if (seenBeforeMs !== undefined) await store.trimDedupe(seenBeforeMs)
        return false
      },
    },
    {
      everyMs: EXPIRE_EVERY_MS,
      failure: 'store cannot expire events',
      async step() {
        const beforeMs = trustedBeforeMs(settings.MAX_EVENT_AGE_HOURS)
        if (beforeMs === undefined) return false
        const limits = { oldestEventTimeS: Math.floor(beforeMs / 1000), limit: BATCHES_PER_STEP }
        const { expired, hasMore } = await store.expire({ ...limits, nowMs: clock.wallMs() })
        if (expired === 0) return hasMore
        metrics.countEvents('other', 'expired', expired)
        metrics.deadLetters.inc({ reason: 'too_old' }, expired)
        return hasMore
      },
    },
    {
      everyMs: TRIM_EVERY_MS,
      failure: 'store cannot delete dead letters',
      async step() {
        const step = await trim('dead_letters', settings.DEAD_LETTER_DAYS * 24)
        if (step.tooOld + step.overPart === 0) {
          logDeleted()
          return false
        }
        metrics.deadLettersDeleted.inc({ reason: 'too_old' }, step.tooOld)
        metrics.deadLettersDeleted.inc({ reason: 'store_part_full' }, step.overPart)
        unlogged += step.overPart
        return true
      },
    },
    {
      everyMs: TRIM_EVERY_MS,
      failure: 'store cannot delete old events of the trail',
      async step() {
        const { tooOld, overPart } = await trim('trail', settings.TRAIL_HOURS)
        return tooOld + overPart > 0
      },
    },
  ]
}
