/**
 * Live events that were delivered or are queued, by key. Keys go in sorted, so that two replicas that bring the same
 * events wait for each other at the first one and not in a circle. Who inserts a key first has it: the other one waits for
 * that transaction, and then finds a duplicate, or, when it was rolled back, has the key itself.
 */
import type { Queryable } from './connect.ts'

export interface SeenKey {
  readonly key: Uint8Array
  readonly parcelId: number
  readonly seenAtMs: number
}

export interface ClaimedKeys {
  /** Whether the key was new, for whoever brought it first and asks first. */
  take(key: Uint8Array): boolean
}

export async function claimKeys(client: Queryable, keys: readonly SeenKey[]): Promise<ClaimedKeys> {
  const fresh = new Set<string>()
  const firsts = new Map<string, SeenKey>()
  for (const one of keys) {
    const name = nameOf(one.key)
    if (!firsts.has(name)) firsts.set(name, one)
  }
  if (firsts.size > 0) {
    const sorted = [...firsts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
    const { rows } = await client.query<{ key: Buffer }>(
      `INSERT INTO seen (key, parcel_id, seen_at_ms)
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[])
       ON CONFLICT (key) DO NOTHING RETURNING key`,
      [
        sorted.map(({ key }) => key),
        sorted.map(({ parcelId }) => parcelId),
        sorted.map(({ seenAtMs }) => seenAtMs),
      ],
    )
    for (const { key } of rows) fresh.add(nameOf(key))
  }
  return { take: (key) => fresh.delete(nameOf(key)) }
}

/** The parcels that brought these keys and still wait for a verdict. */
export async function findPending(
  client: Queryable,
  keys: readonly Uint8Array[],
): Promise<(key: Uint8Array) => number | undefined> {
  if (keys.length === 0) return () => undefined
  const { rows } = await client.query<{ key: Buffer; parcel_id: number }>(
    'SELECT key, parcel_id FROM seen JOIN parcels USING (parcel_id) WHERE key = ANY($1)',
    [keys],
  )
  const found = new Map(rows.map(({ key, parcel_id: parcelId }) => [nameOf(key), parcelId]))
  return (key) => found.get(nameOf(key))
}

/** So that a mended event goes through. Only the keys of these very parcels. */
export async function forgetKeys(
  client: Queryable,
  keys: readonly { readonly key: Uint8Array; readonly parcelId: number }[],
): Promise<void> {
  if (keys.length === 0) return
  await client.query(
    `DELETE FROM seen USING unnest($1::bytea[], $2::bigint[]) AS gone (key, parcel_id)
     WHERE seen.key = gone.key AND seen.parcel_id = gone.parcel_id`,
    [keys.map(({ key }) => key), keys.map(({ parcelId }) => parcelId)],
  )
}

/** Where a walk over what was seen stopped: a time and a key, packed. */
export type SeenWalk = Uint8Array

/**
 * One step over what was seen before, oldest first; answers where the next one starts, or undefined after the last. What
 * is still queued is passed over.
 */
export async function forgetSeenStep(
  client: Queryable,
  seenBeforeMs: number,
  after: SeenWalk,
): Promise<SeenWalk | undefined> {
  const [afterMs, afterKey] = unpackWalk(after)
  const { rows } = await client.query<{ key: Buffer; seen_at_ms: number }>(
    `SELECT key, seen_at_ms FROM seen WHERE seen_at_ms < $1 AND (seen_at_ms, key) > ($2, $3)
     ORDER BY seen_at_ms, key LIMIT ${STEP_KEYS}`,
    [seenBeforeMs, afterMs, afterKey],
  )
  const last = rows.at(-1)
  if (last === undefined) return undefined
  await client.query(
    `DELETE FROM seen WHERE key = ANY($1) AND seen_at_ms < $2
       AND NOT EXISTS (SELECT 1 FROM parcels WHERE parcels.parcel_id = seen.parcel_id)`,
    [rows.map(({ key }) => key), seenBeforeMs],
  )
  return rows.length < STEP_KEYS ? undefined : packWalk(last.seen_at_ms, last.key)
}

const STEP_KEYS = 2048
const TIME_BYTES = 8

function packWalk(seenAtMs: number, key: Uint8Array): SeenWalk {
  const packed = Buffer.alloc(TIME_BYTES + key.byteLength)
  packed.writeDoubleBE(seenAtMs)
  packed.set(key, TIME_BYTES)
  return packed
}

function unpackWalk(walk: SeenWalk): [seenAtMs: number, key: Buffer] {
  if (walk.byteLength === 0) return [Number.MIN_SAFE_INTEGER, Buffer.alloc(0)]
  const packed = Buffer.from(walk.buffer, walk.byteOffset, walk.byteLength)
  return [packed.readDoubleBE(), packed.subarray(TIME_BYTES)]
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex')
}
