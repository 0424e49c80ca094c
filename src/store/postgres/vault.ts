/**
 * The vault's documents. A change is decided on documents that no other replica changes meanwhile: one lock for all of
 * them, which ends with the transaction, whatever happens to this process. The version shows whether another replica
 * changed something since they were read.
 */
import { randomInt } from 'node:crypto'
import type { VaultDocument, VaultStore } from '../../vault/vault-store.ts'
import type { Pool } from './connect.ts'
import type { Owner } from './owner.ts'
import { run } from './run.ts'
import { publish } from './transaction.ts'

/** "vault" in ASCII. */
const VAULT_LOCK = 0x7661756c74
/** Of `randomInt`. */
const MOST = 2 ** 48 - 1
const READ_ALL = 'SELECT kind, id, body FROM documents ORDER BY kind COLLATE "C", id COLLATE "C"'

export function createVaultStore(pool: Pool, owner: Owner): VaultStore {
  /** 0: not known. */
  let knownVersion = 0

  return {
    readVault: async () => (await pool.query<VaultDocument>(READ_ALL)).rows,

    async changeVault(decide) {
      const before = knownVersion
      // After a failure it is unknown what was committed: read again.
      knownVersion = 0
      knownVersion = await pool.transact(async (client) => {
        await client.query('SELECT pg_advisory_xact_lock($1)', [VAULT_LOCK])
        const { rows } = await client.query<{ version: number }>('SELECT version FROM vault_version')
        const { version } = rows[0]!
        const fresh = version === before ? undefined : (await client.query<VaultDocument>(READ_ALL)).rows
        const change = await decide(fresh)
        if (change.length === 0) return version
        const put = change.filter(({ body }) => body !== undefined)
        const remove = change.filter(({ body }) => body === undefined)
        await client.query(
          `INSERT INTO documents (kind, id, body) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
           ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body`,
          [put.map(({ kind }) => kind), put.map(({ id }) => id), put.map(({ body }) => body)],
        )
        await client.query(
          `DELETE FROM documents WHERE (kind, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
          [remove.map(({ kind }) => kind), remove.map(({ id }) => id)],
        )
        // No later one: after a failover that lost the last changes, those would be taken for known.
        const after = randomInt(1, MOST)
        await client.query('UPDATE vault_version SET version = $1', [after])
        await run(client, publish(owner.id, { kind: 'vault' }))
        return after
      })
    },

    async claim(name) {
      const { rowCount } = await pool.query(
        `INSERT INTO claims (name, owner_id) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET owner_id = excluded.owner_id
           WHERE claims.owner_id = excluded.owner_id
             OR NOT EXISTS (SELECT 1 FROM owners WHERE owners.owner_id = claims.owner_id AND dead_at IS NULL)`,
        [name, owner.id],
      )
      return rowCount === 1
    },
    async unclaim(name) {
      await pool.query('DELETE FROM claims WHERE name = $1 AND owner_id = ANY($2)', [name, owner.ids])
    },
  }
}
