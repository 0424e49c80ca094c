/**
 * The bisect for the event that makes Pinterest refuse a whole call without saying which one it is. Pure.
 *
 *   a call of n events is refused ──> half of them is called alone, the other half is suspected
 *      refused:  the culprit is among them; those suspected before are cleared
 *      accepted: the culprit is among the suspects, which are halved in their turn
 *   one event alone is refused: it is the culprit; all that were cleared leave together, in one call
 *
 * One culprit among 1,000 costs 13 calls at most: the first, one for each of 10 halvings, itself, and the cleared.
 * Halving both halves costs 21. A further culprit is found when the cleared are refused.
 *
 * Where many are culprits, a search for each would cost a thousand calls per hundred: so each culprit halves the part
 * that leaves next, and each call that is taken doubles it again. 100 culprits of 100 cost 135 calls instead of 673.
 */
import { countEvents, failedOften, type Slice } from './batch.ts'

/** The slices of one call, and those that wait for its outcome. */
export interface Group {
  readonly slices: readonly Slice[]
  /** The culprit is among these if it is not among the slices. */
  readonly suspects: readonly Slice[]
  /** Not suspected; they wait for the end of the bisect. */
  readonly cleared: readonly Slice[]
  /** Culprits that may still be found before the canary is asked: Pinterest took a call of this bisect, or the canary. */
  readonly trust: number
  /** Culprits found, less the calls that were taken; never below 0. */
  readonly culprits: number
  /** Repeated calls with the same slices, since a refusal may be temporary. */
  readonly callsAgain: number
}

/** Cuts slices in two, the first part with `firstCount` events; conclude.ts also accounts for the cut in the prefetch. */
export type Cut = (
  slices: readonly Slice[],
  firstCount: number,
) => readonly [readonly Slice[], readonly Slice[]]

export interface Refused {
  readonly culprit: Slice | undefined
  readonly next: Group | undefined
}

/** When everything is refused, the third culprit in a row asks the canary. */
const CULPRITS_ON_TRUST = 2

export function groupOf(slices: readonly Slice[]): Group {
  return { slices, suspects: [], cleared: [], trust: 0, culprits: 0, callsAgain: 0 }
}

/** It is called as it is: part of a bisect, or what failed often. The slices of any other join what else waits. */
export function staysOne({ slices, suspects, trust, culprits, callsAgain }: Group): boolean {
  return suspects.length > 0 || trust + culprits + callsAgain > 0 || slices.some(failedOften)
}

export function membersOf({ slices, suspects, cleared }: Group): readonly Slice[] {
  return [...slices, ...suspects, ...cleared]
}

/** The canary was taken. */
export function trusted(group: Group): Group {
  return { ...group, trust: CULPRITS_ON_TRUST }
}

export function again(group: Group): Group {
  return { ...group, callsAgain: group.callsAgain + 1 }
}

export function afterRefusal(group: Group, cut: Cut): Refused {
  const { slices, suspects, cleared, trust, culprits } = group
  const callsAgain = 0
  const [culprit] = slices
  const others = [...cleared, ...suspects]
  if (culprit && isSingleEvent(slices)) {
    return {
      culprit,
      next: nextPart(others, { trust: Math.max(0, trust - 1), culprits: culprits + 1, callsAgain }, cut),
    }
  }
  return {
    culprit: undefined,
    next: { ...halve(slices, cut), cleared: others, trust, culprits, callsAgain },
  }
}

export function afterSuccess({ suspects, cleared, culprits }: Group, cut: Cut): Group | undefined {
  const course = { trust: CULPRITS_ON_TRUST, culprits: Math.max(0, culprits - 1), callsAgain: 0 }
  if (suspects.length === 0) return nextPart(cleared, course, cut)
  if (isSingleEvent(suspects)) return { slices: suspects, suspects: [], cleared, ...course }
  return { ...halve(suspects, cut), cleared, ...course }
}

export function isSingleEvent(slices: readonly Slice[]): boolean {
  return slices.length === 1 && slices[0]?.positions.length === 1
}

function halve(slices: readonly Slice[], cut: Cut): Pick<Group, 'slices' | 'suspects'> {
  const [first, second] = cut(slices, Math.ceil(countEvents(slices) / 2))
  return { slices: first, suspects: second }
}

/** All of them after one culprit, half after two, a quarter after three. */
function nextPart(
  slices: readonly Slice[],
  course: Omit<Group, 'slices' | 'suspects' | 'cleared'>,
  cut: Cut,
): Group | undefined {
  if (slices.length === 0) return undefined
  const count = countEvents(slices)
  const firstCount = Math.ceil(count / 2 ** Math.max(0, course.culprits - 1))
  const [first, rest] = firstCount < count ? cut(slices, firstCount) : [slices, []]
  return { slices: first, suspects: [], cleared: rest, ...course }
}
