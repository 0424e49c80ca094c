/**
 * Reads a post's body and prepares its events one by one. Bodies wait for their turn (time-slices.ts), and one that takes long
 * gives way between its events (in-time-slices.ts): other posts, and the health check, come between.
 */
import { ClockInDoubt, SenderLeft } from '../errors.ts'
import { prepareEvent, type Prepared, type PrepareContext } from '../events/prepare.ts'
import { isForItsAge } from '../events/invalid.ts'
import type { Clock } from '../clock.ts'
import type { Settings } from '../settings.ts'
import type { MatchQuality } from '../telemetry/match-quality.ts'
import type { VolumeWatch } from '../telemetry/volume-watch.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Account } from '../vault/vault.ts'
import { readBody } from './body.ts'
import { inTimeSlices, type Loop } from './in-time-slices.ts'
import { createTimeSlices } from './time-slices.ts'

export interface PrepareEventsOptions {
  readonly metrics: Metrics
  readonly matchQuality: Pick<MatchQuality, 'note'>
  readonly volumeWatch: Pick<VolumeWatch, 'note'>
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
  /** Whether ages can be believed: see clock-watch.ts. */
  readonly isClockTrusted: () => boolean
  readonly settings: Pick<Settings, 'MAX_EVENT_AGE_HOURS'>
  readonly loop?: Loop
}

interface Post {
  readonly account: Account
  readonly isTest: boolean
  /** Asked when the post's turn comes: without its sender it is not prepared, since it will come again. */
  readonly hasLeft: () => boolean
}

/**
 * One entry per event, in the order of the post. Rejects with INVALID_REQUEST, CLOCK_IN_DOUBT or SENDER_LEFT; nothing of the
 * post was counted then.
 */
export type PrepareEvents = (body: Buffer, post: Post) => Promise<readonly Prepared[]>

export function createPrepareEvents(options: PrepareEventsOptions): PrepareEvents {
  const { metrics, matchQuality, volumeWatch, clock, isClockTrusted, settings, loop } = options
  const maxEventAgeMs = settings.MAX_EVENT_AGE_HOURS * 3_600_000
  const timeSlices = createTimeSlices({ now: clock.monotonicMs, nextTurn: (run) => void setImmediate(run) })

  return (body, post) => timeSlices.take(body.byteLength, () => prepare(body, post))

  async function prepare(body: Buffer, { account, isTest, hasLeft }: Post): Promise<readonly Prepared[]> {
    if (hasLeft()) throw new SenderLeft()
    const { adAccountId, country: accountCountry, dobFormat, bots } = account
    const context = { nowMs: clock.wallMs(), accountCountry, dobFormat, maxEventAgeMs, isTest, bots }
    const prepared = await inTimeSlices(prepareAll(body, context), loop)
    // A wrong clock must not refuse an event for good: the post comes again.
    const isForAge = (one: Prepared) => one.status === 'invalid' && isForItsAge(one.reason)
    if (prepared.some(isForAge) && !isClockTrusted()) throw new ClockInDoubt()
    // Counted after the last event, which may show that the body is no JSON.
    for (const one of prepared) {
      for (const { code } of one.warnings) metrics.eventWarnings.inc({ code })
      if (one.status === 'invalid') metrics.eventsInvalid.inc({ reason: one.reason })
      if (isTest) continue
      matchQuality.note(adAccountId, one)
      volumeWatch.note(adAccountId, one.eventName)
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
