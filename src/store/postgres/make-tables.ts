/**
 * Makes the tables, in a transaction, under a lock that replicas which start at the same time wait for. Nothing is
 * changed where the rights are missing or the tables are newer.
 */
import { StoreTooNew } from '../../errors.ts'
import { STATEMENT_MS, type Queryable } from './client.ts'
import { SCHEMA_NAME, SCHEMA_VERSION, TABLES } from './schema.ts'

/** Any number that nobody else locks: "pinrelay" in ASCII, cut to what a double holds. */
const TABLES_LOCK = 0x70696e72656c
/** How long it may take, and how long the others wait for it. */
export const TABLES_MS = 10 * 60_000

export async function makeTables(client: Queryable): Promise<void> {
  await client.query(`SET LOCAL lock_timeout = ${TABLES_MS}`)
  await client.query('SELECT pg_advisory_xact_lock($1)', [TABLES_LOCK])
  const before = await readVersion(client)
  if (before > SCHEMA_VERSION) {
    throw new StoreTooNew(
      `The database has schema ${before}, this relay knows ${SCHEMA_VERSION}: start a newer relay.`,
    )
  }
  if (before === 0) {
    await client.query(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA_NAME}`)
    await client.query('CREATE TABLE schema_version (version integer NOT NULL)')
    await client.query('INSERT INTO schema_version VALUES ($1)', [SCHEMA_VERSION])
    await client.query(TABLES)
  }
  // The commit may wait for a standby, and no longer than any other.
  await client.query(`SET LOCAL statement_timeout = ${STATEMENT_MS}`)
}

async function readVersion(client: Queryable): Promise<number> {
  const found = await client.query<{ name: string | null }>('SELECT to_regclass($1)::text AS name', [
    `${SCHEMA_NAME}.schema_version`,
  ])
  if (found.rows[0]!.name === null) return 0
  const { rows } = await client.query<{ version: number }>('SELECT version FROM schema_version')
  return rows[0]?.version ?? 0
}
