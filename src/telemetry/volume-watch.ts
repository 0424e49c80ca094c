/**
 * Watches how many live events of each name each account sends, and marks a sudden drop or surge (volume-judge.ts). A
 * storefront whose plugin broke reports nothing; this is how it is noticed.
 *
 * Invalid events count, too. In memory, since the start of the process: after a restart it learns anew. Slots follow the
 * monotonic clock, so that setting the wall clock makes no drop. Each stream takes three KiB; those that were silent for eight
 * days make room for others (streams.ts), and one line in the log says when some are not watched.
 */
import type { Clock } from '../clock.ts'
import { isKnownEventName } from '../events/event-name.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { createStreams } from './streams.ts'
import type { EventTally } from './tally.ts'
import {
  HISTORY_SLOTS,
  HOUR_SLOTS,
  isMark,
  judgeVolume,
  SLOT_MINUTES,
  sumSlots,
  type VolumeHistory,
  type VolumeJudgement,
} from './volume-judge.ts'

export type VolumeWatch = ReturnType<typeof createVolumeWatch>

export interface VolumeRow extends Pick<VolumeJudgement, 'state' | 'observed' | 'expected'> {
  readonly adAccountId: string
  readonly eventName: string
  readonly windowMinutes: number
  /** When the state began, in milliseconds since the epoch. */
  readonly sinceMs: number
  /** Events in each of the last hours that are over, oldest first; fewer where fewer are known. */
  readonly hours: readonly number[]
}

interface Stream {
  /** A ring; `slot % HISTORY_SLOTS` is its place. */
  readonly counts: Uint32Array
  readonly firstSlot: number
  /** Of its latest event. */
  lastSlot: number
  judgement: VolumeJudgement
  sinceMs: number
}

const SLOT_MS = SLOT_MINUTES * 60_000

export function createVolumeWatch({ clock, log }: { readonly clock: Clock; readonly log: Log }) {
  const startedMs = clock.monotonicMs()
  let isLogged = false
  /** The one that is being filled. */
  let slot = 0
  let cancel = clock.after(SLOT_MS, turn)
  const streams = createStreams<Stream>(
    () => ({
      counts: new Uint32Array(HISTORY_SLOTS),
      firstSlot: slot,
      lastSlot: slot,
      judgement: NOT_JUDGED,
      sinceMs: clock.wallMs(),
    }),
    ({ lastSlot }) => slot - lastSlot >= HISTORY_SLOTS,
  )

  /** Ends all slots that are over: a busy loop or a sleeping machine may have missed some. */
  function turn(): void {
    const now = Math.floor((clock.monotonicMs() - startedMs) / SLOT_MS)
    while (slot < now) {
      slot += 1
      for (const [, , { counts }] of streams.list()) counts[slot % HISTORY_SLOTS] = 0
      streams.dropIdle()
      for (const [adAccountId, eventName, stream] of streams.list()) judge(adAccountId, eventName, stream)
    }
    cancel = clock.after(startedMs + (slot + 1) * SLOT_MS - clock.monotonicMs(), turn)
  }

  function judge(adAccountId: string, eventName: string, stream: Stream): void {
    const before = stream.judgement
    stream.judgement = judgeVolume(historyOf(stream), before)
    const { state } = stream.judgement
    if (state === before.state) return
    stream.sinceMs = clock.wallMs()
    const fields = {
      ad_account_id: adAccountId,
      event_name: isKnownEventName(eventName) ? eventName : undefined,
      reason: state,
    }
    if (isMark(state)) log.warn(fields, 'volume is not as usual')
    else if (isMark(before.state)) log.info(fields, 'volume is as usual again')
  }

  function historyOf({ counts, firstSlot }: Stream): VolumeHistory {
    return {
      // The slot that is being filled takes the place of the oldest.
      knownSlots: Math.min(slot - firstSlot, HISTORY_SLOTS - 1),
      countOf: (slotsAgo) =>
        slotsAgo < slot - firstSlot ? counts[(slot - 1 - slotsAgo + HISTORY_SLOTS) % HISTORY_SLOTS]! : 0,
    }
  }

  function show(adAccountId: string, eventName: string, stream: Stream, mostHours: number): VolumeRow {
    const history = historyOf(stream)
    const { state, observed, expected, windowSlots } = stream.judgement
    const hours = Math.min(mostHours, Math.floor(history.knownSlots / HOUR_SLOTS))
    // While learning, too, what came since is seen: the slot that is being filled counts.
    const sinceThen = stream.counts[slot % HISTORY_SLOTS]! + sumSlots(history, 0, HOUR_SLOTS - 1)
    return {
      adAccountId,
      eventName,
      state,
      observed: state === 'learning' ? sinceThen : observed,
      expected,
      windowMinutes: windowSlots * SLOT_MINUTES,
      sinceMs: stream.sinceMs,
      hours: Array.from({ length: hours }, (_, index) =>
        sumSlots(history, (hours - 1 - index) * HOUR_SLOTS, HOUR_SLOTS),
      ),
    }
  }

  return {
    /** Events of one name came. */
    note(adAccountId: string, { eventName, events }: Pick<EventTally, 'eventName' | 'events'>): void {
      const stream = streams.of(adAccountId, eventName)
      if (stream === undefined) {
        if (!isLogged)
          log.warn({ ad_account_id: adAccountId, reason: 'too_many_streams' }, 'volume is not watched')
        isLogged = true
        return
      }
      stream.counts[slot % HISTORY_SLOTS]! += events
      stream.lastSlot = slot
    },
    /** Marked ones first, then those with the most events. `mostHours`: how many are answered of each stream. */
    rows: (mostHours = 24, adAccountId?: string): readonly VolumeRow[] =>
      streams
        .list(adAccountId)
        .map(([id, eventName, stream]) => show(id, eventName, stream, mostHours))
        .toSorted((one, other) => weightOf(other) - weightOf(one)),
    forget: (adAccountId: string) => streams.forget(adAccountId),
    close: () => cancel(),
  }
}

/** Marked streams as a metric. Event names are a storefront's own text: only those that Pinterest knows become labels. */
export function reportVolume(metrics: Metrics, volumeWatch: VolumeWatch): void {
  metrics.collect('volumeMark', () =>
    volumeWatch.rows().flatMap(({ adAccountId, eventName, state }) => {
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

function weightOf({ state, hours }: VolumeRow): number {
  const events = hours.reduce((sum, count) => sum + count, 0)
  return isMark(state) ? 1e12 + events : events
}
