/**
 * Reads a post's body and prepares its events one by one, in turns of the loop: a thousand events take long enough that
 * other posts, and the health check, would notice.
 */
import { ClockInDoubt } from '../errors.ts'
import { prepareEvent, type Prepared, type PrepareContext } from '../events/prepare.ts'
import { isForItsAge } from '../events/invalid.ts'
import type { MatchQuality } from '../telemetry/match-quality.ts'
import type { VolumeWatch } from '../telemetry/volume-watch.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Account } from '../vault/vault.ts'
import { readBody } from './body.ts'
import { inTimeSlices, type Loop } from './in-time-slices.ts'

export interface PrepareEventsOptions {
  readonly metrics: Metrics
  readonly matchQuality: Pick<MatchQuality, 'note'>
  readonly volumeWatch: Pick<VolumeWatch, 'note'>
  /** Milliseconds since the epoch. */
  readonly wallMs: () => number
  readonly maxEventAgeMs: number
  /** Whether ages can be believed: see clock-watch.ts. */
  readonly isClockTrusted: () => boolean
  readonly loop?: Loop
}

/** One entry per event, in the order of the post. Rejects with INVALID_REQUEST or CLOCK_IN_DOUBT; nothing of the post was counted then. */
export type PrepareEvents = (
  body: Buffer,
  post: { readonly account: Account; readonly isTest: boolean },
) => Promise<readonly Prepared[]>

export function createPrepareEvents(options: PrepareEventsOptions): PrepareEvents {
  const { metrics, matchQuality, volumeWatch, wallMs, maxEventAgeMs, isClockTrusted, loop } = options
  return async (body, { account, isTest }) => {
    const { country: accountCountry, dobFormat } = account
    const context = { nowMs: wallMs(), accountCountry, dobFormat, maxEventAgeMs, isTest }
    const prepared = await inTimeSlices(prepareAll(body, context), loop)
    // Refused for good is not what a clock may do that is wrong, perhaps: the post comes again.
    const isForAge = (one: Prepared) => one.status === 'invalid' && isForItsAge(one.reason)
    if (prepared.some(isForAge) && !isClockTrusted()) throw new ClockInDoubt()
    // Not before: the last event may show that the body is no JSON, and nothing of it counts then.
    for (const one of prepared) {
      for (const { code } of one.warnings) metrics.eventWarnings.inc({ code })
      if (one.status === 'invalid') metrics.eventsInvalid.inc({ reason: one.reason })
      if (!isTest) {
        matchQuality.note(account.adAccountId, one)
        volumeWatch.note(account.adAccountId, one.eventName)
      }
    }
    return prepared
  }
}

function* prepareAll(body: Buffer, context: PrepareContext): Generator<void, readonly Prepared[]> {
  const { events } = yield* readBody(body)
  const prepared: Prepared[] = []
  for (const event of events()) {
    prepared.push(prepareEvent(event, context))
    yield
  }
  return prepared
}
