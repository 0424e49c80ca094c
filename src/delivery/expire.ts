/** Which events of a piece grew too old while they waited. */
import { splitEvents } from '../store/payload.ts'
import { cutPiece, type Piece } from './parcel.ts'

/** Parts a piece at an age; `expired` are the events from before `oldestS` (seconds since the epoch). */
export function expireEvents(piece: Piece, oldestS: number): { expired?: Piece; kept?: Piece } {
  const expired: number[] = []
  const kept: number[] = []
  const times = splitEvents(piece.payload).map(
    (json) => (JSON.parse(json) as { event_time: number }).event_time,
  )
  times.forEach((timeS, place) => (timeS < oldestS ? expired : kept).push(place))
  if (kept.length === 0) return { expired: piece }
  if (expired.length === 0) return { kept: piece }
  const oldestEventTimeS = Math.min(...kept.map((place) => times[place]!))
  return { expired: cutPiece(piece, expired), kept: { ...cutPiece(piece, kept), oldestEventTimeS } }
}
