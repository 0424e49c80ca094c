/**
 * The vault's tables. A change is decided on rows that nobody else changes meanwhile: `exclusively` takes a lock for all
 * replicas, and brings the rows anew if another one changed them. Its first change is committed at once, which ends the
 * lock: what the work does after it is of its own memory only.
 */
import type {
  AccountRow,
  GrantRow,
  KeyRow,
  OauthClientRow,
  QualityRow,
  TokenFailure,
  VaultChange,
  VaultRows,
  VaultStore,
} from '../../vault/vault-store.ts'
import { StoreCannotOpen, StoreUnavailable } from '../../errors.ts'
import { CommitInDoubt, inTransaction, isPlaceAtFault, type Pool, type Queryable } from './connect.ts'
import { tellFeed } from './feed-rows.ts'
import type { Owner } from './owner.ts'

/** "vault" in ASCII. */
const VAULT_LOCK = 0x7661756c74

type Row = Readonly<Record<string, unknown>>

interface Table<Item> {
  all(client: Queryable): Promise<Item[]>
  put(client: Queryable, items: readonly Item[] | undefined): Promise<void>
  remove(client: Queryable, keys: readonly string[] | undefined): Promise<void>
}

export function createVaultStore(pool: Pool, owner: Owner): VaultStore {
  let knownVersion = 0
  let held: { readonly client: Queryable; readonly commit: () => Promise<void> } | undefined

  async function readAll(client: Queryable): Promise<VaultRows> {
    return {
      accounts: await accounts.all(client),
      clients: await clients.all(client),
      grants: await grants.all(client),
      qualities: await qualities.all(client),
      keys: await keys.all(client),
    }
  }

  /** In the transaction that `exclusively` began, or in one of its own. */
  async function change(work: (client: Queryable) => Promise<void>): Promise<void> {
    if (held === undefined) return locked((client) => changeIn(client, work), false)
    const { client, commit } = held
    held = undefined
    const version = await changeIn(client, work)
    await commit()
    knownVersion = version
  }

  async function changeIn(client: Queryable, work: (client: Queryable) => Promise<void>): Promise<number> {
    await work(client)
    const { rows } = await client.query<{ version: number }>(
      'UPDATE vault_version SET version = version + 1 RETURNING version',
    )
    await tellFeed(client, owner.id, { kind: 'vault' })
    return rows[0]!.version
  }

  /** The lock is the transaction's: it ends with it, whatever happens to this process. */
  async function locked<Result>(
    work: (client: Queryable, commit: () => Promise<void>) => Promise<Result>,
    isHeld: true,
  ): Promise<Result>
  async function locked(work: (client: Queryable) => Promise<unknown>, isHeld: false): Promise<void>
  async function locked<Result>(
    work: (client: Queryable, commit: () => Promise<void>) => Promise<Result>,
  ): Promise<Result> {
    const client = await unavailable(pool.begin())
    let isOpen = true
    let failure: Error | undefined
    const commit = async () => {
      if (!isOpen) return
      isOpen = false
      await client.commit()
    }
    try {
      await client.query('SELECT pg_advisory_xact_lock($1)', [VAULT_LOCK])
      const result = await work(client, commit)
      await commit()
      return result
    } catch (error) {
      if (isDatabaseError(error)) pool.onFailure(error)
      if (isOpen) {
        await client.query('ROLLBACK').catch((gone: unknown) => {
          failure = gone as Error
        })
      } else if (isPlaceAtFault(error)) failure = error as Error
      // Nobody knows what was committed: it is read again.
      knownVersion = 0
      throw isDatabaseError(error) && isPlaceAtFault(error) ? new StoreUnavailable({ cause: error }) : error
    } finally {
      held = undefined
      client.release(failure)
    }
  }

  return {
    async readVault() {
      // As of one moment: an account must not be read without its grant.
      return unavailable(
        inTransaction(pool, async (client) => {
          await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
          return readAll(client)
        }),
      )
    },
    changeVault: (changes) => change((client) => write(client, changes)),
    putKey: (row) => change((client) => keys.put(client, [row])),
    deleteKey: (keyId) => change((client) => keys.remove(client, [keyId])),

    exclusively: (work) =>
      locked(async (client, commit) => {
        const { rows } = await client.query<{ version: number }>('SELECT version FROM vault_version')
        const { version } = rows[0]!
        const fresh = version === knownVersion ? undefined : await readAll(client)
        knownVersion = version
        held = { client, commit }
        return work(fresh)
      }, true),

    async claim(name) {
      const { rowCount } = await unavailable(
        pool.query(
          `INSERT INTO claims (name, owner_id) VALUES ($1, $2)
           ON CONFLICT (name) DO UPDATE SET owner_id = excluded.owner_id
             WHERE claims.owner_id = excluded.owner_id
               OR NOT EXISTS (SELECT 1 FROM owners WHERE owners.owner_id = claims.owner_id AND dead_at IS NULL)`,
          [name, owner.id],
        ),
      )
      return rowCount === 1
    },
    async unclaim(name) {
      await unavailable(
        pool.query('DELETE FROM claims WHERE name = $1 AND owner_id = ANY($2)', [name, owner.ids]),
      )
    },
  }
}

async function unavailable<Result>(asked: Promise<Result>): Promise<Result> {
  return asked.catch((error: unknown) => {
    throw isPlaceAtFault(error) ? new StoreUnavailable({ cause: error }) : error
  })
}

/** Work may fail for reasons of its own. */
function isDatabaseError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('severity' in error || error instanceof CommitInDoubt || error instanceof StoreCannotOpen) return true
  if (!('code' in error)) return /connection|timeout|terminated/i.test(error.message)
  return typeof error.code === 'string' && /^E[A-Z]+$/.test(error.code)
}

async function write(client: Queryable, change: VaultChange): Promise<void> {
  await clients.put(client, change.clients)
  await grants.put(client, change.grants)
  await accounts.put(client, change.accounts)
  await qualities.put(client, change.qualities)
  await qualities.remove(client, change.deletedAccounts)
  await accounts.remove(client, change.deletedAccounts)
  await grants.remove(client, change.deletedGrants)
  await clients.remove(client, change.deletedClients)
}

const accounts = createTable<AccountRow>(
  'accounts',
  (row) => ({
    ad_account_id: row.adAccountId,
    label: row.label,
    country: row.country,
    dob_format: row.dobFormat,
    posts_per_minute: row.postsPerMinute,
    is_paused: row.isPaused,
    token_kind: row.tokenKind,
    sealed_token: row.sealedToken,
    token_last4: row.tokenLast4,
    token_set_at_ms: row.tokenSetAtMs,
    client_id: row.clientId,
    grant_id: row.grantId,
    created_at_ms: row.createdAtMs,
  }),
  (row) => ({
    adAccountId: row['ad_account_id'] as string,
    label: row['label'] as string,
    country: maybe(row['country'] as string | null),
    dobFormat: maybe(row['dob_format'] as 'DMY' | 'MDY' | null),
    postsPerMinute: maybe(row['posts_per_minute'] as number | null),
    isPaused: row['is_paused'] as boolean,
    tokenKind: row['token_kind'] as AccountRow['tokenKind'],
    sealedToken: maybe(row['sealed_token'] as Uint8Array | null),
    tokenLast4: row['token_last4'] as string,
    tokenSetAtMs: row['token_set_at_ms'] as number,
    clientId: maybe(row['client_id'] as string | null),
    grantId: maybe(row['grant_id'] as string | null),
    createdAtMs: row['created_at_ms'] as number,
  }),
)

const clients = createTable<OauthClientRow>(
  'oauth_clients',
  (row) => ({ client_id: row.clientId, sealed_secret: row.sealedSecret }),
  (row) => ({ clientId: row['client_id'] as string, sealedSecret: row['sealed_secret'] as Uint8Array }),
)

const grants = createTable<GrantRow>(
  'grants',
  (row) => ({
    grant_id: row.grantId,
    client_id: row.clientId,
    sealed_pair: row.sealedPair,
    access_token_last4: row.accessTokenLast4,
    scope: row.scope,
    issued_at_ms: row.issuedAtMs,
    expires_at_ms: row.expiresAtMs,
    refresh_expires_at_ms: row.refreshExpiresAtMs,
    given_digest: row.givenDigest,
    asked_at_ms: row.askedAtMs,
    refused_at_ms: row.refusedAtMs,
    ...fromFailure(row.failure),
  }),
  (row) => ({
    grantId: row['grant_id'] as string,
    clientId: row['client_id'] as string,
    sealedPair: row['sealed_pair'] as Uint8Array,
    accessTokenLast4: row['access_token_last4'] as string,
    scope: row['scope'] as string,
    issuedAtMs: row['issued_at_ms'] as number,
    expiresAtMs: row['expires_at_ms'] as number,
    refreshExpiresAtMs: maybe(row['refresh_expires_at_ms'] as number | null),
    givenDigest: maybe(row['given_digest'] as string | null),
    askedAtMs: maybe(row['asked_at_ms'] as number | null),
    refusedAtMs: maybe(row['refused_at_ms'] as number | null),
    failure: toFailure(row),
  }),
)

const qualities = createTable<QualityRow>(
  'qualities',
  (row) => ({
    ad_account_id: row.adAccountId,
    fetched_at_ms: row.fetchedAtMs,
    scores: row.scores,
    ...fromFailure(row.failure),
  }),
  (row) => ({
    adAccountId: row['ad_account_id'] as string,
    fetchedAtMs: maybe(row['fetched_at_ms'] as number | null),
    scores: row['scores'] as string,
    failure: toFailure(row),
  }),
)

const keys = createTable<KeyRow>(
  'keys',
  (row) => ({
    key_id: row.keyId,
    label: row.label,
    ad_account_ids: JSON.stringify(row.adAccountIds),
    key_hash: row.keyHash,
    created_at_ms: row.createdAtMs,
  }),
  (row) => ({
    keyId: row['key_id'] as string,
    label: row['label'] as string,
    adAccountIds: JSON.parse(row['ad_account_ids'] as string) as string[],
    keyHash: row['key_hash'] as Uint8Array,
    createdAtMs: row['created_at_ms'] as number,
  }),
  'created_at_ms',
)

/** Every table of the vault is used alike: read as a whole, written row by row. The first column is its key. */
function createTable<Item>(
  name: string,
  from: (item: Item) => Row,
  to: (row: Row) => Item,
  order?: 'created_at_ms',
): Table<Item> {
  return {
    async all(client) {
      const { rows } = await client.query<Record<string, unknown>>(`SELECT * FROM ${name}`)
      const items = rows.map((row) => ({ row, item: to(row) }))
      const keyOf = (row: Row) => Object.values(row)[0] as string
      const bornAt = (row: Row) => (order === undefined ? 0 : (row[order] as number))
      return items
        .toSorted((a, b) => bornAt(a.row) - bornAt(b.row) || (keyOf(a.row) < keyOf(b.row) ? -1 : 1))
        .map(({ item }) => item)
    },
    async put(client, items = []) {
      for (const row of items.map(from)) {
        const [key, ...others] = Object.keys(row)
        await client.query(
          `INSERT INTO ${name} (${[key, ...others].join(', ')})
           VALUES (${Object.keys(row)
             .map((_, index) => `$${index + 1}`)
             .join(', ')})
           ON CONFLICT (${key}) DO UPDATE SET ${others.map((column) => `${column} = excluded.${column}`).join(', ')}`,
          Object.values(row).map((value) => value ?? null),
        )
      }
    },
    async remove(client, removed = []) {
      if (removed.length === 0) return
      const key = KEY_COLUMNS[name]!
      await client.query(`DELETE FROM ${name} WHERE ${key} = ANY($1)`, [removed])
    },
  }
}

const KEY_COLUMNS: Readonly<Record<string, string>> = {
  accounts: 'ad_account_id',
  oauth_clients: 'client_id',
  grants: 'grant_id',
  qualities: 'ad_account_id',
  keys: 'key_id',
}

function fromFailure(failure: TokenFailure | undefined): Row {
  return { failed_at_ms: failure?.atMs, failure: failure?.reason }
}

function toFailure(row: Row): TokenFailure | undefined {
  const atMs = maybe(row['failed_at_ms'] as number | null)
  return atMs === undefined ? undefined : { atMs, reason: row['failure'] as string }
}

function maybe<Value>(value: Value | null): Value | undefined {
  return value ?? undefined
}
