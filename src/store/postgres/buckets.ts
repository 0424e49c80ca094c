/**
 * Token buckets that all replicas share, on the database's clock.
 *
 * A bucket of capacity C, refilled at R a minute, has a level L; each replica has `outstanding` tokens: granted to it, and
 * neither used up nor given back. Always L + outstanding ≤ C, since refilling stops at C − outstanding. So within any
 * minute at most C + R tokens are used, however late: each was outstanding at its beginning, or was taken out of the level
 * after it; both together held at most C then, and only the refill of that minute, at most R, was added.
 * (The call of a token that is reported as used has arrived: what refills in its place counts from there.)
 *
 * A dead replica may only be suspended: its tokens stay counted until its owner is forgotten, five minutes later (owner.ts).
 * Replicas report absolute values, so a retry is idempotent. Errors only under-admit: a grant whose answer was lost is never
 * used.
 *
 * A standby that is promoted may lack the last grants. So the calls' bucket begins empty where another start of a server wrote it last.
 *
 * The arithmetic is that of src/limits/bucket.ts. Rows are locked in sorted order, so that replicas that exchange for many
 * accounts at once do not deadlock.
 */
import { refill, take, TOKEN, type Bucket } from '../../limits/bucket.ts'
import type { BucketGrant, BucketRequest, Shared } from '../shared.ts'
import type { Pool, Queryable } from './connect.ts'
import type { Owner } from './owner.ts'

/** Smaller steps back are the usual jitter of `clock_timestamp`. */
const SET_BACK_MS = 1000
/** A replica that has to wait asks again after 100 ms. */
const LOTS_PER_MINUTE = 600
/** Whole milliseconds, as the buckets count. */
const NOW_MS = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

/** Outstanding tokens of one bucket. */
interface Held {
  readonly all: number
  readonly own: number
}

export function createExchange(pool: Pool, owner: Owner): Shared['exchange'] {
  return (requests) => pool.transact((client) => exchange(client, [...owner.ids], requests))
}

async function exchange(
  client: Queryable,
  ownerIds: readonly number[],
  requests: readonly BucketRequest[],
): Promise<BucketGrant[]> {
  const names = [requests.map(({ kind }) => kind), requests.map(({ adAccountId }) => adAccountId)]
  await client.query(
    `INSERT INTO buckets (kind, ad_account_id, level, at_ms)
     SELECT kind, account, level, ${NOW_MS} FROM unnest($1::text[], $2::text[], $3::bigint[]) AS new (kind, account, level)
     ORDER BY kind, account ON CONFLICT DO NOTHING`,
    // A call bucket begins empty, since it is unknown what was sent before; a post bucket begins full.
    [...names, requests.map(({ kind, capacity }) => (kind === 'post_limiter' ? capacity * TOKEN : 0))],
  )
  await client.query(
    `SELECT FROM buckets WHERE (kind, ad_account_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
     ORDER BY kind, ad_account_id FOR UPDATE`,
    names,
  )
  // Read after the lock, which the exchange may have waited for.
  const { rows } = await client.query<
    { level: number; at_ms: number; is_other: boolean; now_ms: number } & Held
  >(
    `SELECT level, at_ms, server <> pg_postmaster_start_time() AS is_other, ${NOW_MS} AS now_ms, held.*
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (kind, ad_account_id, nth)
     JOIN buckets USING (kind, ad_account_id)
     CROSS JOIN LATERAL (
       SELECT COALESCE(SUM(outstanding), 0)::bigint AS "all",
         COALESCE(SUM(outstanding) FILTER (WHERE owner_id = ANY($3)), 0)::bigint AS own
       FROM bucket_grants g WHERE g.kind = asked.kind AND g.ad_account_id = asked.ad_account_id) AS held
     ORDER BY nth`,
    [...names, ownerIds],
  )
  const exchanged = requests.map((request, index) => {
    const { level, at_ms: atMs, is_other: isOther, now_ms: nowMs, ...held } = rows[index]!
    const bucket = isOther && request.kind === 'call_limiter' ? { level: 0, atMs: nowMs } : { level, atMs }
    return exchangeOne(bucket, held, request, nowMs)
  })
  await client.query(
    `UPDATE buckets SET level = new.level, at_ms = new.at_ms, server = pg_postmaster_start_time()
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS new (kind, account, level, at_ms)
     WHERE buckets.kind = new.kind AND ad_account_id = new.account`,
    [...names, exchanged.map(({ level }) => level), exchanged.map(({ atMs }) => atMs)],
  )
  const older = ownerIds.slice(0, -1)
  if (older.length > 0) {
    // All of them are counted under the new number.
    await client.query(
      `DELETE FROM bucket_grants WHERE owner_id = ANY($3) AND (kind, ad_account_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
      [...names, older],
    )
  }
  await client.query(
    `INSERT INTO bucket_grants (kind, ad_account_id, owner_id, outstanding)
     SELECT kind, account, $4, outstanding FROM unnest($1::text[], $2::text[], $3::bigint[]) AS new (kind, account, outstanding)
     ON CONFLICT (kind, ad_account_id, owner_id) DO UPDATE SET outstanding = excluded.outstanding`,
    [...names, exchanged.map(({ outstanding }) => outstanding), ownerIds.at(-1)],
  )
  return exchanged.map(({ grant }) => grant)
}

/**
 * Pure. Answers the bucket as stored afterwards, what this replica then has outstanding, and what it is granted. Refills first
 * and gives back afterwards: what was outstanding meanwhile was not refilled.
 */
export function exchangeOne(
  bucket: Pick<Bucket, 'level' | 'atMs'>,
  { all, own }: Held,
  { capacity, refillPerMinute, wanted, holding, unused }: BucketRequest,
  nowMs: number,
) {
  let { level, atMs } = bucket
  const free = Math.max(0, capacity - all)
  // The database's clock was set back: the bucket begins empty.
  if (nowMs < atMs - SET_BACK_MS) [level, atMs] = [0, nowMs]
  const refilled = refill({ capacity: free, refillPerMinute, level, atMs }, nowMs)
  // Only once, and never what is counted under another number of a replica that was thought dead.
  const givenBack = Math.max(0, Math.min(unused, own - holding))
  const room = Math.max(0, capacity - (all - own + holding)) * TOKEN
  const levelNow = Math.min(room, refilled.level + givenBack * TOKEN)
  const granted = Math.max(0, Math.min(wanted, Math.floor(levelNow / TOKEN)))
  const after = levelNow - granted * TOKEN
  // Several tokens at a time: otherwise an empty bucket would cost a transaction per token.
  const lot = Math.max(1, Math.min(wanted - granted, Math.floor(refillPerMinute / LOTS_PER_MINUTE)))
  const { waitMs } = take({ capacity, refillPerMinute, level: after, atMs: nowMs }, lot, nowMs)
  return {
    level: after,
    atMs: refilled.atMs,
    outstanding: holding + granted,
    grant: { granted, waitMs: granted === wanted ? 0 : waitMs, left: Math.floor(after / TOKEN) },
  }
}
