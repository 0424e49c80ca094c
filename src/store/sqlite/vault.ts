/** The vault file's operations. Changes are rare: each one is a synced transaction of its own. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type {
  AccountRow,
  GrantRow,
  KeyRow,
  OauthClientRow,
  QualityRow,
  TokenFailure,
  TokenKind,
  VaultStore,
} from '../../vault/vault-store.ts'
import type { AnswerOf, RequestOf } from '../engine/protocol.ts'

export type VaultKind = Exclude<keyof VaultStore, 'exclusively' | 'claim' | 'unclaim'>
export type VaultHandlers = { [K in VaultKind]: (request: RequestOf<K>) => AnswerOf<K> }

export function createVaultHandlers(db: DatabaseSync): VaultHandlers {
  const accounts = createTable(db, 'accounts', fromAccount, toAccount)
  const clients = createTable(db, 'oauth_clients', fromClient, toClient)
  const grants = createTable(db, 'grants', fromGrant, toGrant)
  const qualities = createTable(db, 'qualities', fromQuality, toQuality)
  const keys = createTable(db, 'keys', fromKey, toKey, 'created_at_ms, key_id')

  return {
    readVault: () => ({
      accounts: accounts.all(),
      clients: clients.all(),
      grants: grants.all(),
      qualities: qualities.all(),
      keys: keys.all(),
    }),
    changeVault(change) {
      db.exec('BEGIN IMMEDIATE')
      try {
        change.clients?.forEach(clients.put)
        change.grants?.forEach(grants.put)
        change.accounts?.forEach(accounts.put)
        change.qualities?.forEach(qualities.put)
        change.deletedAccounts?.forEach(qualities.remove)
        change.deletedAccounts?.forEach(accounts.remove)
        change.deletedGrants?.forEach(grants.remove)
        change.deletedClients?.forEach(clients.remove)
        db.exec('COMMIT')
      } catch (error) {
        // A full disk may have rolled back already.
        if (db.isTransaction) db.exec('ROLLBACK')
        throw error
      }
    },
    putKey: (row) => keys.put(row),
    deleteKey: ({ keyId }) => keys.remove(keyId),
  }
}

type Columns = Readonly<Record<string, SQLInputValue>>
type Row = Readonly<Record<string, unknown>>

interface Table<Item> {
  all(): Item[]
  readonly put: (item: Item) => void
  /** By the first column, which is the table's key. */
  readonly remove: (key: string) => void
}

/** Every table of the vault is used alike: read as a whole, written row by row. */
function createTable<Item>(
  db: DatabaseSync,
  name: string,
  from: (item: Item) => Columns,
  to: (row: Row) => Item,
  order?: string,
): Table<Item> {
  const columns = db.prepare(`SELECT name FROM pragma_table_info(?)`).all(name)
  const names = columns.map((column) => String(column['name']))
  const selectAll = db.prepare(`SELECT * FROM ${name} ORDER BY ${order ?? names[0]}`)
  const replace = db.prepare(
    `INSERT OR REPLACE INTO ${name} (${names.join(', ')}) VALUES (${names.map((column) => `$${column}`).join(', ')})`,
  )
  const remove = db.prepare(`DELETE FROM ${name} WHERE ${names[0]} = ?`)
  return {
    all: () => selectAll.all().map(to),
    put: (item) => void replace.run(from(item)),
    remove: (key) => void remove.run(key),
  }
}

function fromAccount(row: AccountRow): Columns {
  return {
    ad_account_id: row.adAccountId,
    label: row.label,
    country: row.country ?? null,
    dob_format: row.dobFormat ?? null,
    posts_per_minute: row.postsPerMinute ?? null,
    is_paused: Number(row.isPaused),
    token_kind: row.tokenKind,
    sealed_token: row.sealedToken ?? null,
    token_last4: row.tokenLast4,
    token_set_at_ms: row.tokenSetAtMs,
    client_id: row.clientId ?? null,
    grant_id: row.grantId ?? null,
    created_at_ms: row.createdAtMs,
  }
}

function toAccount(row: Row): AccountRow {
  return {
    adAccountId: String(row['ad_account_id']),
    label: String(row['label']),
    country: toText(row['country']),
    dobFormat: toText(row['dob_format']) as AccountRow['dobFormat'],
    postsPerMinute: toNumber(row['posts_per_minute']),
    isPaused: row['is_paused'] === 1,
    tokenKind: String(row['token_kind']) as TokenKind,
    sealedToken: toBytes(row['sealed_token']),
    tokenLast4: String(row['token_last4']),
    tokenSetAtMs: Number(row['token_set_at_ms']),
    clientId: toText(row['client_id']),
    grantId: toText(row['grant_id']),
    createdAtMs: Number(row['created_at_ms']),
  }
}

function fromClient({ clientId, sealedSecret }: OauthClientRow): Columns {
  return { client_id: clientId, sealed_secret: sealedSecret }
}

function toClient(row: Row): OauthClientRow {
  return { clientId: String(row['client_id']), sealedSecret: row['sealed_secret'] as Uint8Array }
}

function fromGrant(row: GrantRow): Columns {
  return {
    grant_id: row.grantId,
    client_id: row.clientId,
    sealed_pair: row.sealedPair,
    access_token_last4: row.accessTokenLast4,
    scope: row.scope,
    issued_at_ms: row.issuedAtMs,
    expires_at_ms: row.expiresAtMs,
    refresh_expires_at_ms: row.refreshExpiresAtMs ?? null,
    given_digest: row.givenDigest ?? null,
    asked_at_ms: row.askedAtMs ?? null,
    refused_at_ms: row.refusedAtMs ?? null,
    ...fromFailure(row.failure),
  }
}

function toGrant(row: Row): GrantRow {
  return {
    grantId: String(row['grant_id']),
    clientId: String(row['client_id']),
    sealedPair: row['sealed_pair'] as Uint8Array,
    accessTokenLast4: String(row['access_token_last4']),
    scope: String(row['scope']),
    issuedAtMs: Number(row['issued_at_ms']),
    expiresAtMs: Number(row['expires_at_ms']),
    refreshExpiresAtMs: toNumber(row['refresh_expires_at_ms']),
    givenDigest: toText(row['given_digest']),
    askedAtMs: toNumber(row['asked_at_ms']),
    refusedAtMs: toNumber(row['refused_at_ms']),
    failure: toFailure(row),
  }
}

function fromQuality(row: QualityRow): Columns {
  return {
    ad_account_id: row.adAccountId,
    fetched_at_ms: row.fetchedAtMs ?? null,
    scores: row.scores,
    ...fromFailure(row.failure),
  }
}

function toQuality(row: Row): QualityRow {
  return {
    adAccountId: String(row['ad_account_id']),
    fetchedAtMs: toNumber(row['fetched_at_ms']),
    scores: String(row['scores']),
    failure: toFailure(row),
  }
}

function fromKey(row: KeyRow): Columns {
  return {
    key_id: row.keyId,
    label: row.label,
    ad_account_ids: JSON.stringify(row.adAccountIds),
    key_hash: row.keyHash,
    created_at_ms: row.createdAtMs,
  }
}

function toKey(row: Row): KeyRow {
  return {
    keyId: String(row['key_id']),
    label: String(row['label']),
    adAccountIds: JSON.parse(String(row['ad_account_ids'])) as string[],
    keyHash: row['key_hash'] as Uint8Array,
    createdAtMs: Number(row['created_at_ms']),
  }
}

function fromFailure(failure: TokenFailure | undefined): Columns {
  return { failed_at_ms: failure?.atMs ?? null, failure: failure?.reason ?? null }
}

function toFailure(row: Row): TokenFailure | undefined {
  const atMs = toNumber(row['failed_at_ms'])
  return atMs === undefined ? undefined : { atMs, reason: String(row['failure']) }
}

function toText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function toNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function toBytes(value: unknown): Uint8Array | undefined {
  return value instanceof Uint8Array ? value : undefined
}
