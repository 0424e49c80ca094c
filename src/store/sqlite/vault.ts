/** The vault file's operations. Changes are rare: each one is a synced transaction of its own. */
import type { DatabaseSync } from 'node:sqlite'
import type { AccountRow, KeyRow, VaultStore } from '../../vault/vault-store.ts'
import type { AnswerOf, RequestOf } from './protocol.ts'

export type VaultKind = keyof VaultStore
export type VaultHandlers = { [K in VaultKind]: (request: RequestOf<K>) => AnswerOf<K> }

export function createVaultHandlers(db: DatabaseSync): VaultHandlers {
  const selectAccounts = db.prepare('SELECT * FROM accounts ORDER BY ad_account_id')
  const replaceAccount = db.prepare(
    `INSERT OR REPLACE INTO accounts (ad_account_id, label, country, dob_format, posts_per_minute, is_paused,
       sealed_token, token_last4, token_set_at_ms, created_at_ms)
     VALUES ($adAccountId, $label, $country, $dobFormat, $postsPerMinute, $isPaused, $sealedToken, $tokenLast4,
       $tokenSetAtMs, $createdAtMs)`,
  )
  const removeAccount = db.prepare('DELETE FROM accounts WHERE ad_account_id = ?')
  const selectKeys = db.prepare('SELECT * FROM keys ORDER BY created_at_ms, key_id')
  const replaceKey = db.prepare(
    `INSERT OR REPLACE INTO keys (key_id, label, ad_account_ids, key_hash, created_at_ms)
     VALUES ($keyId, $label, $adAccountIds, $keyHash, $createdAtMs)`,
  )
  const removeKey = db.prepare('DELETE FROM keys WHERE key_id = ?')

  return {
    accounts: () => selectAccounts.all().map(toAccount),
    putAccount(row) {
      replaceAccount.run({
        ...row,
        country: row.country ?? null,
        dobFormat: row.dobFormat ?? null,
        postsPerMinute: row.postsPerMinute ?? null,
        isPaused: Number(row.isPaused),
      })
    },
    deleteAccount({ adAccountId }) {
      removeAccount.run(adAccountId)
    },
    keys: () => selectKeys.all().map(toKey),
    putKey(row) {
      replaceKey.run({ ...row, adAccountIds: JSON.stringify(row.adAccountIds) })
    },
    deleteKey({ keyId }) {
      removeKey.run(keyId)
    },
  }
}

type Row = Readonly<Record<string, unknown>>

function toAccount(row: Row): AccountRow {
  return {
    adAccountId: String(row['ad_account_id']),
    label: String(row['label']),
    country: (row['country'] as string | null) ?? undefined,
    dobFormat: (row['dob_format'] as AccountRow['dobFormat'] | null) ?? undefined,
    postsPerMinute: (row['posts_per_minute'] as number | null) ?? undefined,
    isPaused: row['is_paused'] === 1,
    sealedToken: row['sealed_token'] as Uint8Array,
    tokenLast4: String(row['token_last4']),
    tokenSetAtMs: Number(row['token_set_at_ms']),
    createdAtMs: Number(row['created_at_ms']),
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
