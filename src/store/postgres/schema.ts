/**
 * The tables, in a PostgreSQL schema of their own (`pinrelay`): those of core/tables.ts, and
 *
 * owners        the replicas. `owner_id` is the fencing number: a process that was taken for dead gets a new one.
 *               `commit_number` is the last transaction of its writer, which shows whether a COMMIT without an answer was done
 * dedupe        live events that were delivered or are queued, by 16 bytes of SHA-256: as a `uuid` they are compared at once, and
 *               not as bytes of any length
 * vault_version is another number after each change of the documents
 * buckets       levels in 1/60,000 of a token, and since when the server runs that wrote them; `bucket_grants`: tokens handed out, neither
 *               used nor given back
 * feed          what changed, for the other replicas; rows of the last minutes only
 *
 * `dedupe` is vacuumed early: a query for the oldest rows reads past all that were deleted since.
 */
import { StoreCannotOpen, StoreTooNew } from '../../errors.ts'
import { ALL_TABLES } from '../core/tables.ts'
import type { Queryable } from './connect.ts'
import { CLAIM_FUNCTION } from './dedupe.ts'

export const SCHEMA_NAME = 'pinrelay'

/** Raised with every change of the tables: a relay that knows others does not start. */
const SCHEMA_VERSION = 3

const TABLES = `
  CREATE TABLE owners (
    owner_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    key_id text NOT NULL,
    commit_number bigint NOT NULL DEFAULT 0,
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    dead_at timestamptz
  );
  CREATE SEQUENCE batch_ids;
  ${ALL_TABLES}
  CREATE TABLE dedupe (
    key uuid PRIMARY KEY,
    batch_id bigint NOT NULL,
    seen_at_ms bigint NOT NULL
  );
  ${CLAIM_FUNCTION};
  ALTER TABLE batches ALTER COLUMN sealed SET STORAGE EXTERNAL;
  ALTER TABLE trail ALTER COLUMN ids SET STORAGE EXTERNAL, ALTER COLUMN entries SET STORAGE EXTERNAL;
  ALTER TABLE dedupe SET (autovacuum_vacuum_scale_factor = 0.02);
  ALTER TABLE totals SET (fillfactor = 50);
  CREATE INDEX batches_waiting ON batches
    (ad_account_id, is_test, is_replay, oldest_event_time_s, batch_id) WHERE owner_id IS NULL;
  CREATE INDEX batches_aging ON batches (oldest_event_time_s, batch_id) WHERE owner_id IS NULL AND NOT is_test;
  CREATE INDEX dedupe_by_time ON dedupe (seen_at_ms);
  CREATE TABLE vault_version (version bigint NOT NULL);
  INSERT INTO vault_version VALUES (1);
  CREATE TABLE claims (
    name text PRIMARY KEY,
    owner_id bigint NOT NULL
  );
  CREATE TABLE buckets (
    kind text NOT NULL,
    ad_account_id text NOT NULL,
    level bigint NOT NULL,
    at_ms bigint NOT NULL,
    server timestamptz NOT NULL DEFAULT pg_postmaster_start_time(),
    PRIMARY KEY (kind, ad_account_id)
  ) WITH (fillfactor = 50);
  CREATE TABLE bucket_grants (
    kind text NOT NULL,
    ad_account_id text NOT NULL,
    owner_id bigint NOT NULL,
    outstanding bigint NOT NULL,
    PRIMARY KEY (kind, ad_account_id, owner_id)
  ) WITH (fillfactor = 50);
  CREATE TABLE breakers (
    ad_account_id text NOT NULL,
    is_test boolean NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    until timestamptz,
    PRIMARY KEY (ad_account_id, is_test)
  );
  CREATE TABLE feed (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    owner_id bigint,
    change text NOT NULL
  );
  CREATE INDEX feed_by_time ON feed (at)`

/** Any number that nobody else locks: "pinrelay" in ASCII, cut to what a double holds. */
const TABLES_LOCK = 0x70696e72656c
/** How long it may take, and how long the others wait for it. */
export const TABLES_MS = 10 * 60_000

/**
 * In a transaction, under a lock that replicas which start at the same time wait for. Nothing is changed where the rights are
 * missing or the tables are others.
 */
export async function makeTables(client: Queryable): Promise<void> {
  await client.query(`SET LOCAL lock_timeout = ${TABLES_MS}`)
  await client.query('SELECT pg_advisory_xact_lock($1)', [TABLES_LOCK])
  const before = await readVersion(client)
  if (before > SCHEMA_VERSION) {
    throw new StoreTooNew(
      `The database has schema ${before}, this relay knows ${SCHEMA_VERSION}: start a newer relay.`,
    )
  }
  if (before > 0 && before < SCHEMA_VERSION) {
    throw new StoreCannotOpen(
      `The database was made before 0.1.0, with other tables (schema ${before}): begin with a new one.`,
    )
  }
  if (before === 0) {
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA_NAME}`)
    await client.query('CREATE TABLE schema_version (version integer NOT NULL)')
    await client.query('INSERT INTO schema_version VALUES ($1)', [SCHEMA_VERSION])
    await client.query(TABLES)
  }
}

async function readVersion(client: Queryable): Promise<number> {
  const found = await client.query<{ name: string | null }>('SELECT to_regclass($1)::text AS name', [
    `${SCHEMA_NAME}.schema_version`,
  ])
  if (found.rows[0]!.name === null) return 0
  const { rows } = await client.query<{ version: number }>('SELECT version FROM schema_version')
  return rows[0]?.version ?? 0
}
