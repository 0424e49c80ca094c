/**
 * Whether the volume of a stream (one account, one event name) is as before: pure, from counts per quarter of an hour.
 *
 * The last hour, six hours and day are each compared with the same stretch of the seven days before, so that nights and lunch
 * breaks are expected. Not against their mean but against the lowest and highest of them (the second lowest and highest
 * from four days on): weekends are within them, and one day of outage or one backfill neither blinds the watch nor sets it
 * off. What stays for two days is the new normal.
 *
 * A mark needs both a size (under two fifths of the lowest, over three times the highest; a fifth and five times before a
 * whole week is known, since weekends may be new) and a bound on chance: arrivals are
 * taken as Poisson around a rate that is 30 % off to the wrong side, and chance must explain what was seen at most once in
 * ten thousand times. So a trickle is judged over a day, a flood over an hour. No surge is judged over a day: an hour's
 * backfill would stay one for as long. A mark ends when its own stretch is no longer
 * far off, which takes more than what began it took: it does not flap.
 *
 * Before two days are known there is one rule: an hour without any event after three with twenty each at least.
 */

export type VolumeMark = 'drop' | 'surge'
/** `learning`: too little is known to call anything unusual but silence. */
export type VolumeState = 'learning' | 'normal' | VolumeMark

export function isMark(state: VolumeState): state is VolumeMark {
  return state === 'drop' || state === 'surge'
}

export interface VolumeJudgement {
  readonly state: VolumeState
  /** Events in the stretch that was judged. */
  readonly observed: number
  /** The median of the same stretch of the days before; undefined while learning. */
  readonly expected: number | undefined
  readonly windowSlots: number
}

/** Events in each slot that is known, the one that ended last first. */
export type VolumeHistory = Uint32Array

export const SLOT_MINUTES = 15
export const DAY_SLOTS = (24 * 60) / SLOT_MINUTES
/** The longest stretch, seven days ago. */
export const HISTORY_SLOTS = 8 * DAY_SLOTS
export const HOUR_SLOTS = 60 / SLOT_MINUTES
const WINDOWS = [HOUR_SLOTS, 6 * HOUR_SLOTS, DAY_SLOTS] as const

const DAYS_COMPARED = 7
const DAYS_TO_KNOW = 2
/** From so many on, the lowest and the highest day may be an accident. */
const DAYS_TO_DISTRUST = 4

const DROP_SHARE = 0.4
const EARLY_DROP_SHARE = 0.2
const DROP_ENDS_SHARE = 0.7
const SURGE_TIMES = 3
const EARLY_SURGE_TIMES = 5
const SURGE_ENDS_TIMES = 2
/** Fewer are no surge, whatever the past. */
const SURGE_EVENTS = 30
const CHANCE = 1e-4
/** Rates differ from day to day by themselves. */
const SPREAD = 0.3

const SILENCE_AFTER_EVENTS = 20

export function judgeVolume(history: VolumeHistory, before: VolumeJudgement | undefined): VolumeJudgement {
  if (before && isMark(before.state)) {
    const now = compare(history, before.windowSlots)
    if (now === undefined) {
      // Silence that was marked while learning: one event ends it.
      if (sumSlots(history, 0, before.windowSlots) === 0) return before
    } else if (!hasEnded(before.state, now)) return { ...now.judgement, state: before.state }
  }
  const compared = WINDOWS.flatMap((windowSlots) => compare(history, windowSlots) ?? [])
  for (const one of compared) {
    const state = stateOf(one)
    if (state !== 'normal') return { ...one.judgement, state }
  }
  return compared[0]?.judgement ?? learn(history)
}

type Compared = NonNullable<ReturnType<typeof compare>>

/** Undefined where too few days are known. */
function compare(history: VolumeHistory, windowSlots: number) {
  const days: number[] = []
  for (let day = 1; day <= DAYS_COMPARED; day++) {
    if (history.length < day * DAY_SLOTS + windowSlots) break
    days.push(sumSlots(history, day * DAY_SLOTS, windowSlots))
  }
  if (days.length < DAYS_TO_KNOW) return undefined
  days.sort((one, other) => one - other)
  const aside = days.length >= DAYS_TO_DISTRUST ? 1 : 0
  const judgement = {
    state: 'normal',
    observed: sumSlots(history, 0, windowSlots),
    expected: median(days),
    windowSlots,
  } as const
  return {
    judgement,
    lowest: days[aside]!,
    highest: days[days.length - 1 - aside]!,
    isWholeWeek: days.length === DAYS_COMPARED,
  }
}

function stateOf({ judgement, lowest, highest, isWholeWeek }: Compared): VolumeState {
  const { observed, windowSlots } = judgement
  const share = isWholeWeek ? DROP_SHARE : EARLY_DROP_SHARE
  const isLow = observed <= share * lowest && chanceBound(observed, (1 - SPREAD) * lowest) < CHANCE
  if (isLow) return 'drop'
  if (windowSlots === DAY_SLOTS) return 'normal'
  const times = isWholeWeek ? SURGE_TIMES : EARLY_SURGE_TIMES
  const usual = (1 + SPREAD) * Math.max(highest, 1)
  const isHigh = observed >= Math.max(SURGE_EVENTS, times * highest)
  return isHigh && chanceBound(observed, usual) < CHANCE ? 'surge' : 'normal'
}

function hasEnded(state: VolumeState, { judgement: { observed }, lowest, highest }: Compared): boolean {
  return state === 'drop' ? observed >= DROP_ENDS_SHARE * lowest : observed <= SURGE_ENDS_TIMES * highest
}

function learn(history: VolumeHistory): VolumeJudgement {
  const observed = sumSlots(history, 0, HOUR_SLOTS)
  const hoursBefore = [1, 2, 3].map((hour) => sumSlots(history, hour * HOUR_SLOTS, HOUR_SLOTS))
  const isSilent =
    observed === 0 &&
    history.length >= 4 * HOUR_SLOTS &&
    hoursBefore.every((count) => count >= SILENCE_AFTER_EVENTS)
  return {
    state: isSilent ? 'drop' : 'learning',
    observed,
    expected: isSilent ? median(hoursBefore.toSorted((one, other) => one - other)) : undefined,
    windowSlots: HOUR_SLOTS,
  }
}

export function sumSlots(counts: Uint32Array, from: number, slots: number): number {
  return counts.subarray(from, from + slots).reduce((sum, count) => sum + count, 0)
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Chernoff's bound on a Poisson variable of this mean being as far off as `count`, on the side where it is. */
export function chanceBound(count: number, mean: number): number {
  if (mean <= 0) return count > 0 ? 0 : 1
  return count === 0 ? Math.exp(-mean) : Math.exp(count - mean - count * Math.log(count / mean))
}
