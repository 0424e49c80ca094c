/**
 * Puts what was salvaged into the queue, one bounded step per transaction: events that are there or were delivered are
 * duplicates, as in any post. How far a file has come is written down with each step, so that it can be salvaged again
 * at any time and nothing of it comes twice.
 */
import { prepareRows } from '../connection.ts'
import { createCommit } from '../commit.ts'
import { unpackHistory } from '../history.ts'
import type { SalvageAnswer, SalvagedLetter, SalvagedParcel, SalvageRequest } from '../protocol.ts'
import { bindDeadLetter, type Queue } from '../queue.ts'
import { createSettling } from '../settle.ts'

export function createRestore(queue: Queue): (request: SalvageRequest) => SalvageAnswer {
  const { db, lanes, sealer } = queue
  const commit = createCommit(queue)
  const settling = createSettling(queue)
  const select = prepareRows<[mark: number]>(db, 'SELECT value FROM meta WHERE name = ?')
  const replace = db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)')
  const insertLetter = db.prepare(
    `INSERT INTO dead_letters (lane_id, event_name, event_id, event_time_s, status, reason, attempts, first_seen_at_ms,
       died_at_ms, history, sealed)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )

  /** Answers how many of its events were seen before. */
  function restoreParcel({ commit: request, attempts, history }: SalvagedParcel): number {
    const { parcelId, duplicates } = commit(request)
    if (parcelId !== undefined) {
      settling.release({ parcels: [{ parcelId, attempts, history: readHistory(history) }] })
    }
    return duplicates.length
  }

  /** In the books it is what it was: received, and rejected or expired. */
  function restoreLetter(letter: SalvagedLetter): void {
    const { lane, eventName, eventId, eventTimeS, status, reason, attempts } = letter
    const laneId = lanes.idOf(lane)
    const { firstSeenAtMs, diedAtMs, history } = letter
    const sealed = sealer.seal(letter.content, bindDeadLetter(lane.adAccountId))
    const fate = [status, reason, attempts, firstSeenAtMs, diedAtMs, history] as const
    insertLetter.run(laneId, eventName, eventId, eventTimeS, ...fate, sealed)
    lanes.count(laneId, { received: 1, [status]: 1 })
  }

  /** Those with an id over the file's mark, which moves on. */
  function takeNew<Item>(name: string, items: readonly Item[], idOf: (item: Item) => number): Set<Item> {
    const mark = select.get(name)?.[0] ?? 0
    const fresh = items.filter((item) => idOf(item) > mark)
    if (fresh.length > 0) replace.run(name, Math.max(...fresh.map(idOf)))
    return new Set(fresh)
  }

  return function restore({ file, parcels, letters }) {
    const freshParcels = takeNew(`salvaged:${file}`, parcels, ({ parcelId }) => parcelId)
    const freshLetters = takeNew(`salvaged letters:${file}`, letters, ({ letterId }) => letterId)
    const answer = { parcels: 0, events: 0, duplicates: letters.length - freshLetters.size, deadLetters: 0 }
    for (const parcel of parcels) {
      const count = parcel.commit.eventTimesS.length
      const seenBefore = freshParcels.has(parcel) ? restoreParcel(parcel) : count
      if (seenBefore < count) answer.parcels += 1
      answer.events += count - seenBefore
      answer.duplicates += seenBefore
    }
    for (const letter of freshLetters) restoreLetter(letter)
    answer.deadLetters = freshLetters.size
    return answer
  }
}

/** A damaged page may have spoiled it; it only tells what was tried. */
function readHistory(packed: string | null) {
  try {
    return unpackHistory(packed)
  } catch {
    return []
  }
}
