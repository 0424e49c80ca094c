/**
 * The tables that SQLite and PostgreSQL both have, in PostgreSQL's words; sqlite/schema.ts and postgres/schema.ts add their own and the
 * indexes.
 *
 * batches       one row per batch, with its sealed payload: nearly all are inserted once and deleted once. `owner_id` is who
 *               leases it, null while it waits, and always in SQLite, whose leases end with the process; `lease_number` the
 *               transaction in which it was leased; `hidden_ids` says which ids no dead letter may have in the clear (rows.ts).
 *               `sealed` is the last column, since SQLite reads a row up to the column that is asked for
 * totals        counters per queue and owner: no row is written by two replicas; those of the dead are added to owner 0
 * dead_letters  ids are never given twice, so that a walk from new to old meets no dead letter that died after it began;
 *               no index but the id and the time of death: every search is a walk in bounded steps
 * trail         what became of each event, as core/trail.ts packs it: one row per transaction and bucket of posts. By its key a
 *               bucket's rows are one range, `TRAIL_KEYS` wide, in the order in which they were written: an index beside the
 *               table would be a third of what the trail writes. SQLite's key is a whole number
 * audit         what operators did; `details` is JSON of ids, filters and counts
 * key_checks    one for each master key that may still seal something here
 * documents     the vault's records, sealed as a whole
 *
 * `history` is JSON of [at_ms, reason] pairs, null while there is none: stable words, never a text of Pinterest's.
 */
import { COUNTERS } from './totals.ts'

/** A bucket has 128,064 rows at most; times SQLite's buckets it is an integer of 64 bits until the year 2112. */
export const TRAIL_KEYS = 2 ** 17

const ID = 'bigint GENERATED ALWAYS AS IDENTITY'

const QUEUE_TABLES = `
  CREATE TABLE batches (
    batch_id bigint PRIMARY KEY,
    ad_account_id text NOT NULL,
    is_test boolean NOT NULL,
    is_replay boolean NOT NULL,
    oldest_event_time_s bigint NOT NULL,
    size_bytes integer NOT NULL,
    event_count integer NOT NULL,
    pending_count integer NOT NULL,
    attempts integer NOT NULL,
    received_at_ms bigint NOT NULL,
    owner_id bigint,
    lease_number bigint,
    acknowledged bytea,
    hidden_ids bytea,
    history text,
    sealed bytea NOT NULL
  );
  CREATE INDEX batches_leased ON batches (owner_id, batch_id) WHERE owner_id IS NOT NULL;
  CREATE TABLE totals (
    ad_account_id text NOT NULL,
    is_test boolean NOT NULL,
    owner_id bigint NOT NULL,
    ${COUNTERS.map((name) => `${name} bigint NOT NULL`).join(', ')},
    PRIMARY KEY (ad_account_id, is_test, owner_id)
  );
  CREATE TABLE dead_letters (
    id ${ID} PRIMARY KEY,
    ad_account_id text NOT NULL,
    is_test boolean NOT NULL,
    event_name text NOT NULL,
    event_id text NOT NULL,
    order_id text,
    event_time_s bigint NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    attempts integer NOT NULL,
    first_seen_at_ms bigint NOT NULL,
    died_at_ms bigint NOT NULL,
    size_bytes integer NOT NULL,
    history text,
    sealed bytea NOT NULL
  );
  CREATE INDEX dead_letters_by_death ON dead_letters (died_at_ms, id);
  CREATE TABLE trail (
    nth ${ID},
    seq numeric GENERATED ALWAYS AS (bucket * ${TRAIL_KEYS}::numeric + nth * 1e-15) STORED PRIMARY KEY,
    bucket bigint NOT NULL,
    received_at_ms bigint NOT NULL,
    ids bytea NOT NULL,
    entries bytea NOT NULL
  );
  CREATE TABLE audit (
    id ${ID} PRIMARY KEY,
    at_ms bigint NOT NULL,
    action text NOT NULL,
    details text NOT NULL
  );`

const KEY_CHECKS = `
  CREATE TABLE key_checks (
    place text NOT NULL,
    key_id text NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (place, key_id)
  );`

const DOCUMENTS = `
  CREATE TABLE documents (
    kind text NOT NULL,
    id text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (kind, id)
  );`

/** SQLite has the checks in both of its files. */
export const CHECKED_QUEUE_TABLES = `${KEY_CHECKS}${QUEUE_TABLES}`
export const VAULT_TABLES = `${KEY_CHECKS}${DOCUMENTS}`
export const ALL_TABLES = `${CHECKED_QUEUE_TABLES}${DOCUMENTS}`

/** The type of each column; one that several tables have is the same in all of them. */
export const COLUMN_TYPES: ReadonlyMap<string, string> = new Map(
  Array.from(
    CHECKED_QUEUE_TABLES.matchAll(/(\w+) (bigint|integer|text|boolean|bytea)\b/g),
    ([, name, type]) => [name!, type!],
  ),
)
