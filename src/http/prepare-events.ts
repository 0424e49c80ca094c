/**
 * Prepares the events of a post one by one. The loop is let go now and then: a thousand events take long enough that
 * other posts, and the health check, would notice.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ClockInDoubt } from '../errors.ts'
import { prepareEvent, type Prepared } from '../event/prepare.ts'
import { isForItsAge } from '../event/refusal.ts'
import type { MatchQuality } from '../insight/match-quality.ts'
import type { VolumeWatch } from '../insight/volume-watch.ts'
import type { Metrics } from '../metrics.ts'
import type { Account } from '../vault/vault.ts'

export interface PrepareEventsOptions {
  readonly metrics: Metrics
  readonly matchQuality: Pick<MatchQuality, 'note'>
  readonly volumeWatch: Pick<VolumeWatch, 'note'>
  /** Milliseconds since the epoch. */
  readonly wallMs: () => number
  readonly maxEventAgeMs: number
  /** Whether ages can be believed: see clock-watch.ts. */
  readonly isClockTrusted: () => boolean
}

/** One entry per event, in the order of the post. Rejects with CLOCK_IN_DOUBT; nothing of the post was counted then. */
export type PrepareEvents = (
  events: readonly unknown[],
  post: { readonly account: Account; readonly isTest: boolean },
) => Promise<readonly Prepared[]>

/** Some 250 usual events; a hostile one alone may take as long. */
const TURN_MS = 5

export function createPrepareEvents(options: PrepareEventsOptions): PrepareEvents {
  const { metrics, matchQuality, volumeWatch, wallMs, maxEventAgeMs, isClockTrusted } = options
  return async (events, { account, isTest }) => {
    const { country: accountCountry, dobFormat } = account
    const context = { nowMs: wallMs(), accountCountry, dobFormat, maxEventAgeMs, isTest }
    const prepared: Prepared[] = []
    let turnStartedMs = performance.now()
    for (const event of events) {
      if (performance.now() - turnStartedMs > TURN_MS) {
        await nextTurn()
        turnStartedMs = performance.now()
      }
      const one = prepareEvent(event, context)
      // Refused for good is not what a clock may do that is wrong, perhaps: the post comes again.
      if (one.status === 'refused' && isForItsAge(one.reason) && !isClockTrusted()) throw new ClockInDoubt()
      prepared.push(one)
    }
    for (const one of prepared) {
      for (const { code } of one.warnings) metrics.warned(code)
      if (one.status === 'refused') metrics.refused(one.reason)
      if (!isTest) {
        matchQuality.note(account.adAccountId, one)
        volumeWatch.note(account.adAccountId, one.eventName)
      }
    }
    return prepared
  }
}
