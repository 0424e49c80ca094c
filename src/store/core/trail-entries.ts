/** What a row of the event trail holds, as JSON in lists. Each word that many of its events share is there once. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { looksPersonal } from '../../events/personal-ids.ts'
import type { HistoryPairs } from './rows.ts'
import type { PostOfTrail } from '../store.ts'
import type { Outcome } from '../trail.ts'

/** A page of SQLite. To set a compressor up takes longer than all the rest of a smaller row. */
const COMPRESSED_FROM_BYTES = 4096

export type Packed<T> = T | 0
export type PackedSender = readonly [
  adAccountId: string,
  isTest: 0 | 1,
  keyId: Packed<string>,
  source: Packed<string>,
]
/** Of the events that have more to say than that they are queued. */
export type PackedNote = readonly [
  at: number,
  outcome: Packed<Outcome>,
  reason: Packed<string>,
  warnings: readonly string[],
]
export type PackedPost = readonly [
  place: number,
  /** Its place among the row's. */
  sender: number,
  /** After the row was begun. */
  receivedMs: number,
  /** After it was received. */
  committedMs: number,
  /** `EVENT_SIZE` of each: the place of its name, its id, its order's, and the seconds that it is older than its post. */
  events: Packed<string | number | null>[],
  notes?: readonly PackedNote[],
]
export const EVENT_SIZE = 4
const NO_NAME = -1
const COMPARED_NAMES = 16

export type PackedDead = readonly [
  index: number,
  status: Outcome,
  reason: string,
  attempts: number,
  history: HistoryPairs,
]
/** What a call's answer says of its batches. Nearly all are delivered whole, and share an entry without the rest. */
export type PackedOutcome = readonly [
  atMs: number,
  callId: Packed<string>,
  startedAtMs: number,
  places: number[],
  failures?: HistoryPairs,
  /** 0: all but the dead. */
  delivered?: readonly number[] | 0,
  dead?: readonly PackedDead[],
]
export interface Entries {
  readonly begunAtMs: number
  readonly senders: PackedSender[]
  readonly eventNames: string[]
  readonly posts: PackedPost[]
  readonly outcomes: PackedOutcome[]
}

export function createEntries(begunAtMs: number): Entries {
  return { begunAtMs, senders: [], eventNames: [], posts: [], outcomes: [] }
}

/** `duplicates`: positions among the prepared events, ascending. */
export function addPost(
  entries: Entries,
  place: number,
  post: PostOfTrail,
  duplicates: readonly number[],
  committedAtMs: number,
): void {
  const { adAccountId, isTest, keyId = 0, source = 0, receivedAtMs } = post
  const sender = placeOfSender(entries, [adAccountId, isTest ? 1 : 0, keyId, source])
  const receivedS = Math.floor(receivedAtMs / 1000)
  const events: Packed<string | number | null>[] = []
  const notes: PackedNote[] = []
  let prepared = 0
  let repeated = 0
  for (const event of post.events) {
    const { eventName, trailIds, eventTimeS, status, reason = 0, warnings } = event
    const isDuplicate = status === 'prepared' && prepared++ === duplicates[repeated]
    if (isDuplicate) repeated += 1
    const outcome = isDuplicate ? 'duplicate' : status === 'prepared' ? 0 : status
    if (outcome !== 0 || reason !== 0 || warnings.length > 0) {
      const codes = new Set(warnings.map(({ code }) => code))
      notes.push([events.length / EVENT_SIZE, outcome, reason, [...codes]])
    }
    const ageS = eventTimeS === undefined ? null : receivedS - eventTimeS
    events.push(placeOfName(entries, eventName), trailIds.eventId ?? 0, trailIds.orderId ?? 0, ageS)
  }
  const times = [receivedAtMs - entries.begunAtMs, committedAtMs - receivedAtMs] as const
  const packed = [place, sender, ...times, events] as const
  entries.posts.push(notes.length === 0 ? packed : [...packed, notes])
}

function placeOfSender({ senders }: Entries, [account, isTest, keyId, source]: PackedSender): number {
  const known = senders.findIndex(
    (one) => one[0] === account && one[1] === isTest && one[2] === keyId && one[3] === source,
  )
  return known >= 0 ? known : senders.push([account, isTest, keyId, source]) - 1
}

function placeOfName({ eventNames }: Entries, name: string | undefined): number {
  if (name === undefined) return NO_NAME
  // A post may have a thousand names: then those further back are written again.
  const known = eventNames.indexOf(name, -COMPARED_NAMES)
  if (known >= 0) return known
  // Senders may name events as they like.
  return looksPersonal(name) ? NO_NAME : eventNames.push(name) - 1
}

/** With zstd's own window and tables most of the time is spent on their memory. */
const ZSTD = {
  params: {
    [constants.ZSTD_c_compressionLevel]: 1,
    [constants.ZSTD_c_windowLog]: 14,
    [constants.ZSTD_c_hashLog]: 12,
  },
  chunkSize: 4096,
}

export function packEntries({ begunAtMs, senders, eventNames, posts, outcomes }: Entries): Uint8Array {
  const bytes = Buffer.from(JSON.stringify([begunAtMs, senders, eventNames, posts, outcomes]))
  if (bytes.byteLength < COMPRESSED_FROM_BYTES) return bytes
  return zstdCompressSync(bytes, { ...ZSTD, pledgedSrcSize: bytes.byteLength })
}

const OPENING_BRACKET = 0x5b

/** None of a row that is damaged: the others can still be read. */
export function unpackEntries(bytes: Uint8Array): Entries[] {
  try {
    const text = bytes[0] === OPENING_BRACKET ? bytes : zstdDecompressSync(bytes)
    const [begunAtMs, senders, eventNames, posts, outcomes] = JSON.parse(Buffer.from(text).toString()) as [
      Entries['begunAtMs'],
      Entries['senders'],
      Entries['eventNames'],
      Entries['posts'],
      Entries['outcomes'],
    ]
    // A flipped bit can leave JSON of another shape.
    const isWhole =
      posts.every(([, sender, , , events, notes = []]) =>
        areLists([senders[sender], events, ...notes.map((note) => note[3])]),
      ) &&
      outcomes.every(([, , , places, failures = [], delivered = 0, dead = []]) => {
        const histories = [failures, ...dead.map((one) => one[4])]
        return areLists([places, delivered || [], ...histories, ...histories.flat()])
      })
    return isWhole ? [{ begunAtMs, senders, eventNames, posts, outcomes }] : []
  } catch {
    return []
  }
}

function areLists(values: readonly unknown[]): boolean {
  return values.every((value) => Array.isArray(value))
}
