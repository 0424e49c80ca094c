/**
 * The bisect for the event that makes Pinterest refuse a whole call without saying which one it is. Pure.
 *
 *   a call of n events is refused ──> half of them is called alone, the other half is suspected
 *      refused:  the culprit is among them; those suspected before are cleared
 *      accepted: the culprit is among the suspects, which are halved in their turn
 *   one event stands alone and is refused: it is the culprit; all that were cleared leave together, in one call
 *
 * One culprit among 1,000 costs 13 calls at most: the first, one for each of 10 halvings, itself, and the cleared.
 * Cutting both halves down, as one would at first, costs 21. A further culprit is found when the cleared are refused.
 */
import type { Slice } from './batch.ts'

/** What leaves as one call, and what waits for its outcome. */
export interface Group {
  readonly slices: readonly Slice[]
  /** The culprit is among these if it is not among the slices. */
  readonly suspects: readonly Slice[]
  /** Nothing speaks against these; they wait for the end of the bisect. */
  readonly cleared: readonly Slice[]
}

/** Cuts at least two events in halves; the driver also accounts for the cut. */
export type Halve = (slices: readonly Slice[]) => readonly [readonly Slice[], readonly Slice[]]

export interface Refused {
  readonly culprit: Slice | undefined
  readonly next: Group | undefined
}

export function groupOf(slices: readonly Slice[]): Group {
  return { slices, suspects: [], cleared: [] }
}

export function isBisect({ suspects, cleared }: Group): boolean {
  return suspects.length > 0 || cleared.length > 0
}

export function membersOf({ slices, suspects, cleared }: Group): readonly Slice[] {
  return [...slices, ...suspects, ...cleared]
}

export function afterRefusal({ slices, suspects, cleared }: Group, halve: Halve): Refused {
  const [culprit] = slices
  if (culprit && isSingleEvent(slices)) {
    return { culprit, next: someGroup([...cleared, ...suspects]) }
  }
  const [first, second] = halve(slices)
  return { culprit: undefined, next: { slices: first, suspects: second, cleared: [...cleared, ...suspects] } }
}

export function afterSuccess({ suspects, cleared }: Group, halve: Halve): Group | undefined {
  if (suspects.length === 0) return someGroup(cleared)
  if (isSingleEvent(suspects)) return { slices: suspects, suspects: [], cleared }
  const [first, second] = halve(suspects)
  return { slices: first, suspects: second, cleared }
}

export function isSingleEvent(slices: readonly Slice[]): boolean {
  return slices.length === 1 && slices[0]?.positions.length === 1
}

function someGroup(slices: readonly Slice[]): Group | undefined {
  return slices.length === 0 ? undefined : groupOf(slices)
}
