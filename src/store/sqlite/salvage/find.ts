/** First look at a queue that was set aside: where its parcels and letters are, and all that is known about them. */
import type { LaneKey } from '../../store.ts'
import { listEntries } from '../seen-block.ts'
import type { Pages } from './pages.ts'
import { listCells, type Value } from './records.ts'
import { kindOf, type RowKind } from './rows.ts'

/** One image of a page, on which the row was met. */
export interface Place {
  readonly pageNumber: number
  readonly image: number
  readonly cell: number
}

export interface QueueRow {
  readonly settled: Buffer | null
  readonly attempts: number
  readonly receivedAtMs: number
  readonly history: string | null
}

export interface Found {
  /** By parcel id; several places where a newer image of a page may be damaged. */
  readonly payloads: ReadonlyMap<number, readonly Place[]>
  /** By letter id. */
  readonly letters: ReadonlyMap<number, readonly Place[]>
  readonly lanes: ReadonlyMap<number, LaneKey>
  readonly queue: ReadonlyMap<number, QueueRow>
}

export function find(pages: Pages): Found {
  const payloads = new Map<number, Place[]>()
  const letters = new Map<number, Place[]>()
  const lanes = new Map<number, LaneKey>()
  const queue = new Map<number, QueueRow>()
  const note = (places: Map<number, Place[]>, id: number, place: Place) => {
    const known = places.get(id)
    if (known === undefined) places.set(id, [place])
    else known.push(place)
  }
  for (const { kind, place, rowId, read } of listRows(pages)) {
    switch (kind) {
      case 'payloads':
        note(payloads, rowId!, place)
        break
      case 'dead_letters':
        note(letters, rowId!, place)
        break
      case 'lanes':
      case 'laneIndex':
        noteLane(lanes, kind, rowId, read())
        break
      case 'queue':
        noteQueueRow(queue, read())
        break
      case 'seen':
      case 'seen_blocks':
        break
    }
  }
  return { payloads, letters, lanes, queue }
}

/** The keys of live events that these parcels brought, as hex: only live events are ever seen. */
export function findSeen(pages: Pages, parcelIds: ReadonlySet<number>): Set<string> {
  const keys = new Set<string>()
  for (const { kind, read } of listRows(pages)) {
    if (kind === 'seen') {
      const [key, parcelId] = read() ?? []
      if (key instanceof Buffer && parcelIds.has(Number(parcelId))) keys.add(key.toString('hex'))
    } else if (kind === 'seen_blocks') {
      const entries = read()?.[2]
      for (const { key, parcelId } of entries instanceof Buffer ? listEntries(entries) : []) {
        if (parcelIds.has(parcelId)) keys.add(Buffer.from(key).toString('hex'))
      }
    }
  }
  return keys
}

export function readAt(pages: Pages, { pageNumber, image, cell }: Place): Value[] | undefined {
  const page = pages.images(pageNumber)[image]!
  let index = 0
  for (const found of listCells(page, pageNumber, pages.usableBytes)) {
    if (index++ === cell) return found.read(pages)
  }
  return undefined
}

interface Row {
  readonly kind: RowKind
  readonly place: Place
  readonly rowId: number | undefined
  readonly read: () => Value[] | undefined
}

function* listRows(pages: Pages): Generator<Row> {
  for (let pageNumber = 1; pageNumber <= pages.count; pageNumber++) {
    if (pages.isFree(pageNumber)) continue
    for (const [image, page] of pages.images(pageNumber).entries()) {
      let index = 0
      for (const cell of listCells(page, pageNumber, pages.usableBytes)) {
        const place = { pageNumber, image, cell: index++ }
        const kind = kindOf(cell)
        if (kind !== undefined) yield { kind, place, rowId: cell.rowId, read: () => cell.read(pages) }
      }
    }
  }
}

/** The first one counts: it is from the newest image. */
function noteLane(
  lanes: Map<number, LaneKey>,
  kind: 'lanes' | 'laneIndex',
  rowId: number | undefined,
  values: Value[] | undefined,
): void {
  const [adAccountId, isTest, laneId] =
    kind === 'lanes' ? [...(values ?? []).slice(1, 3), rowId] : (values ?? [])
  if (typeof adAccountId !== 'string' || !/^\d{1,18}$/.test(adAccountId)) return
  if (isTest !== 0 && isTest !== 1) return
  const lane = { adAccountId, isTest: isTest === 1 }
  if (!lanes.has(Number(laneId))) lanes.set(Number(laneId), lane)
}

function noteQueueRow(queue: Map<number, QueueRow>, values: Value[] | undefined): void {
  if (values === undefined) return
  const [, , , parcelId, , , , settled, attempts, receivedAtMs, history] = values
  if (queue.has(Number(parcelId))) return
  queue.set(Number(parcelId), {
    settled: settled as Buffer | null,
    attempts: Number(attempts),
    receivedAtMs: Number(receivedAtMs),
    history: history as string | null,
  })
}
