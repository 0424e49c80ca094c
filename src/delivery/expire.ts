/** Which events of a slice grew too old while they waited. */
import { splitEvents } from '../store/payload.ts'
import { cutSlice, type Slice } from './batch.ts'

/** Parts a slice at an age; `expired` are the events from before `oldestS` (seconds since the epoch). */
export function expireEvents(slice: Slice, oldestS: number): { expired?: Slice; kept?: Slice } {
  const expired: number[] = []
  const kept: number[] = []
  const times = splitEvents(slice.payload).map(
    (json) => (JSON.parse(json) as { event_time: number }).event_time,
  )
  times.forEach((timeS, place) => (timeS < oldestS ? expired : kept).push(place))
  if (kept.length === 0) return { expired: slice }
  if (expired.length === 0) return { kept: slice }
  const oldestEventTimeS = Math.min(...kept.map((place) => times[place]!))
  return { expired: cutSlice(slice, expired), kept: { ...cutSlice(slice, kept), oldestEventTimeS } }
}
