/**
 * Live events, counted by stream: an account and an event name. Each stream has its volume per quarter of an hour, which is judged
 * as each quarter ends (volume-judge.ts), and what qualityOf (tally.ts) makes shares of. A storefront whose plugin broke reports
 * nothing; a sudden drop is how it is noticed.
 *
 * Invalid events count, too. In memory, since the start of the process: after a restart it learns anew. Slots and hours follow the
 * monotonic clock, so that setting the wall clock changes nothing. A stream takes three KiB, and 150 bytes for each of the last 24
 * hours. Event names may be a storefront's own text, so their number is bounded: some names an account are distinguished, and
 * some thousand streams in all. Names that Pinterest does not know take no more than half of them. Those that were silent for eight
 * days make room, and one line in the log says when there is none.
 */
import type { Clock } from '../clock.ts'
import { isKnownEventName } from '../events/event-name.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { addCounts, MOST_HOURS, qualityOf, type Counts, type EventTally } from './tally.ts'
import {
  HISTORY_SLOTS,
  HOUR_SLOTS,
  isMark,
  judgeVolume,
  SLOT_MINUTES,
  sumSlots,
  type VolumeJudgement,
} from './volume-judge.ts'

export type Streams = ReturnType<typeof createStreams>

interface Stream {
  readonly adAccountId: string
  readonly eventName: string
  /** By slot: the one that is being filled, then those before it. */
  readonly counts: Uint32Array
  /** That have ended since its first event. */
  knownSlots: number
  judgement: VolumeJudgement
  /** When its state began, since the epoch. */
  sinceMs: number
  /** What was counted in the present hour, then in those before it; of a day at most. */
  readonly hours: Counts[]
}

/** The name of all beyond the bound, and of events without a readable name. */
export const OTHER = '(other)'
const MOST_STREAMS = 5000
const MOST_EVENT_NAMES = 50
const SLOT_MS = SLOT_MINUTES * 60_000

export function createStreams({ clock, log }: { readonly clock: Clock; readonly log: Log }) {
  const startedMs = clock.monotonicMs()
  const accounts = new Map<string, Map<string, Stream>>()
  let count = 0
  let isLogged = false
  let endedSlots = 0
  let cancel = clock.after(SLOT_MS, turn)

  /** Undefined when there is no room for one more. */
  function streamOf(adAccountId: string, eventName: string | undefined): Stream | undefined {
    const own = accounts.get(adAccountId) ?? new Map<string, Stream>()
    const wanted = eventName || OTHER
    const name = own.has(wanted) || own.size < MOST_EVENT_NAMES ? wanted : OTHER
    const known = own.get(name)
    if (known !== undefined) return known
    if (count >= (isKnownEventName(name) ? MOST_STREAMS : MOST_STREAMS / 2)) return undefined
    count += 1
    const stream: Stream = {
      adAccountId,
      eventName: name,
      counts: new Uint32Array(HISTORY_SLOTS),
      knownSlots: 0,
      judgement: NOT_JUDGED,
      sinceMs: clock.wallMs(),
      hours: [{}],
    }
    accounts.set(adAccountId, own.set(name, stream))
    return stream
  }

  /** Of one account, or of all. */
  function list(adAccountId?: string): readonly Stream[] {
    const some = adAccountId === undefined ? [...accounts.values()] : [accounts.get(adAccountId) ?? new Map()]
    return some.flatMap((own: ReadonlyMap<string, Stream>) => [...own.values()])
  }

  function drop({ adAccountId, eventName }: Stream): void {
    const own = accounts.get(adAccountId)
    if (own?.delete(eventName)) count -= 1
    if (own?.size === 0) accounts.delete(adAccountId)
  }

  /** Ends all slots that are over: a busy loop or a sleeping machine may have missed some. */
  function turn(): void {
    const now = Math.floor((clock.monotonicMs() - startedMs) / SLOT_MS)
    while (endedSlots < now) {
      endedSlots += 1
      for (const stream of list()) {
        stream.counts.copyWithin(1, 0)
        stream.counts[0] = 0
        stream.knownSlots += 1
        if (endedSlots % HOUR_SLOTS === 0) stream.hours.unshift({})
        stream.hours.splice(MOST_HOURS)
        if (stream.counts.every((count) => count === 0)) drop(stream)
        else judge(stream)
      }
    }
    cancel = clock.after(startedMs + (now + 1) * SLOT_MS - clock.monotonicMs(), turn)
  }

  function judge(stream: Stream): void {
    const { adAccountId, eventName, counts, knownSlots, judgement: before } = stream
    stream.judgement = judgeVolume(counts.subarray(1, 1 + knownSlots), before)
    const { state } = stream.judgement
    if (state === before.state) return
    stream.sinceMs = clock.wallMs()
    const event_name = isKnownEventName(eventName) ? eventName : undefined
    const fields = { ad_account_id: adAccountId, event_name, reason: state }
    if (isMark(state)) log.warn(fields, 'volume is not as usual')
    else if (isMark(before.state)) log.info(fields, 'volume is as usual again')
  }

  return {
    /** Events of one name came. */
    note(adAccountId: string, tally: EventTally): void {
      const stream = streamOf(adAccountId, tally.eventName)
      if (stream !== undefined) {
        stream.counts[0]! += tally.events
        addCounts(stream.hours[0]!, tally.counts)
      } else if (!isLogged) {
        isLogged = true
        log.warn({ ad_account_id: adAccountId, reason: 'too_many_streams' }, 'events are not watched')
      }
    },
    /** Marked ones first, then those with the most events. `mostHours`: how many are answered of each stream. */
    volume: (mostHours = 24, adAccountId?: string) =>
      list(adAccountId)
        .map((stream) => volumeOf(stream, mostHours))
        .toSorted((one, other) => weightOf(other) - weightOf(one)),
    /** Those with the most events first, of the present hour and those before it. */
    quality: (mostHours: number, adAccountId?: string) =>
      list(adAccountId)
        .map((stream) => qualityIn(stream, endedSlots, mostHours))
        .filter(({ events }) => events > 0)
        .toSorted((one, other) => other.events - one.events),
    forget: (adAccountId: string) => list(adAccountId).forEach(drop),
    close: () => cancel(),
  }
}

function qualityIn({ adAccountId, eventName, counts, hours }: Stream, endedSlots: number, mostHours: number) {
  const slots = (endedSlots % HOUR_SLOTS) + 1 + (mostHours - 1) * HOUR_SLOTS
  return { adAccountId, eventName, ...qualityOf(hours.slice(0, mostHours), sumSlots(counts, 0, slots)) }
}

function volumeOf(stream: Stream, mostHours: number) {
  const { adAccountId, eventName, sinceMs, counts, knownSlots, judgement } = stream
  const { state, observed, expected, windowSlots } = judgement
  const hours = Math.min(mostHours, Math.floor(knownSlots / HOUR_SLOTS))
  return {
    adAccountId,
    eventName,
    state,
    // While learning, too, what came since is seen: the slot that is being filled counts.
    observed: state === 'learning' ? sumSlots(counts, 0, HOUR_SLOTS) : observed,
    expected,
    windowMinutes: windowSlots * SLOT_MINUTES,
    sinceMs,
    /** Events in each of the last hours that are over, oldest first; fewer where fewer are known. */
    hours: Array.from({ length: hours }, (_, index) =>
      sumSlots(counts, 1 + (hours - 1 - index) * HOUR_SLOTS, HOUR_SLOTS),
    ),
  }
}

/** Marked streams as a metric. Event names are a storefront's own text: only those that Pinterest knows become labels. */
export function reportVolume(metrics: Metrics, streams: Pick<Streams, 'volume'>): void {
  metrics.collect('volumeMark', () =>
    streams.volume().flatMap(({ adAccountId, eventName, state }) => {
      if (!isMark(state)) return []
      const event_name = isKnownEventName(eventName) ? eventName : 'other'
      return [[{ ad_account_id: adAccountId, event_name, direction: state }, 1] as const]
    }),
  )
}

const NOT_JUDGED: VolumeJudgement = {
  state: 'learning',
  observed: 0,
  expected: undefined,
  windowSlots: HOUR_SLOTS,
}

function weightOf({ state, hours }: ReturnType<typeof volumeOf>): number {
  const events = hours.reduce((sum, count) => sum + count, 0)
  return isMark(state) ? 1e12 + events : events
}
