/**
 * Puts what was salvaged into the queue, one bounded step per transaction: events that are there or were delivered are
 * duplicates, as in any post. What was taken of a file is written down with each step, so that it can be salvaged again
 * at any time: nothing of it comes twice, and what could not be read before may come then.
 */
import { createCommit } from './commit.ts'
import { unpackHistory } from '../history.ts'
import type { SalvageAnswer, SalvagedLetter, SalvagedParcel, SalvageRequest } from './protocol.ts'
import { bindDeadLetter } from '../letter.ts'
import type { Queue } from './queue.ts'
import { createSettling } from './settle.ts'

export function createRestore(queue: Queue): (request: SalvageRequest) => SalvageAnswer {
  const { db, lanes, letters, sealer } = queue
  const commit = createCommit(queue)
  const settling = createSettling(queue)
  const remember = db.prepare('INSERT OR IGNORE INTO salvaged (file, kind, id) VALUES (?, ?, ?)')

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
    const { letterId: _, lane, content, ...rest } = letter
    const laneId = lanes.idOf(lane)
    const sealed = sealer.seal(content, bindDeadLetter(lane.adAccountId))
    letters.add({ ...rest, laneId, sealed })
    lanes.count(laneId, { received: 1, [letter.status]: 1 })
  }

  /** Those that were not taken before. */
  function takeNew<Item>(
    file: string,
    kind: 'parcel' | 'letter',
    items: readonly Item[],
    idOf: (item: Item) => number,
  ): Set<Item> {
    return new Set(items.filter((item) => remember.run(file, kind, idOf(item)).changes === 1))
  }

  return function restore({ file, parcels, letters }) {
    const freshParcels = takeNew(file, 'parcel', parcels, ({ parcelId }) => parcelId)
    const freshLetters = takeNew(file, 'letter', letters, ({ letterId }) => letterId)
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
