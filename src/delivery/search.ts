/**
 * The search for the event that makes Pinterest refuse a whole call without saying which one it is. Pure.
 *
 *   a call of n events is refused ──> half of them is called alone, the other half is suspected
 *      refused:  the culprit is among them; those suspected before are cleared
 *      accepted: the culprit is among the suspects, which are halved in their turn
 *   one event stands alone and is refused: it is the culprit; all that were cleared leave together, in one call
 *
 * One culprit among 1,000 costs 13 calls at most: the first, one for each of 10 halvings, itself, and the cleared.
 * Cutting both halves down, as one would at first, costs 21. A further culprit is found when the cleared are refused.
 */
import type { Piece } from './parcel.ts'

/** What leaves as one call, and what waits for its outcome. */
export interface Group {
  readonly pieces: readonly Piece[]
  /** The culprit is among these if it is not among the pieces. */
  readonly suspects: readonly Piece[]
  /** Nothing speaks against these; they wait for the end of the search. */
  readonly cleared: readonly Piece[]
}

/** Cuts at least two events in halves; the driver also accounts for the cut. */
export type Halve = (pieces: readonly Piece[]) => readonly [readonly Piece[], readonly Piece[]]

export interface Refused {
  readonly culprit: Piece | undefined
  readonly next: Group | undefined
}

export function groupOf(pieces: readonly Piece[]): Group {
  return { pieces, suspects: [], cleared: [] }
}

export function isSearch({ suspects, cleared }: Group): boolean {
  return suspects.length > 0 || cleared.length > 0
}

export function membersOf({ pieces, suspects, cleared }: Group): readonly Piece[] {
  return [...pieces, ...suspects, ...cleared]
}

export function afterRefusal({ pieces, suspects, cleared }: Group, halve: Halve): Refused {
  const [culprit] = pieces
  if (culprit && isSingleEvent(pieces)) {
    return { culprit, next: someGroup([...cleared, ...suspects]) }
  }
  const [first, second] = halve(pieces)
  return { culprit: undefined, next: { pieces: first, suspects: second, cleared: [...cleared, ...suspects] } }
}

export function afterSuccess({ suspects, cleared }: Group, halve: Halve): Group | undefined {
  if (suspects.length === 0) return someGroup(cleared)
  if (isSingleEvent(suspects)) return { pieces: suspects, suspects: [], cleared }
  const [first, second] = halve(suspects)
  return { pieces: first, suspects: second, cleared }
}

export function isSingleEvent(pieces: readonly Piece[]): boolean {
  return pieces.length === 1 && pieces[0]?.positions.length === 1
}

function someGroup(pieces: readonly Piece[]): Group | undefined {
  return pieces.length === 0 ? undefined : groupOf(pieces)
}
