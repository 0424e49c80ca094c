/**
 * Where accounts and relay keys are kept, apart from the queue: a queue that breaks takes no token with it.
 * Every change resolves after a synced commit. Secrets arrive here sealed or hashed and are never opened.
 */
export interface AccountRow {
  readonly adAccountId: string
  readonly label: string
  /** ISO 3166-1 alpha-2, lower case. */
  readonly country: string | undefined
  readonly dobFormat: 'DMY' | 'MDY' | undefined
  /** The account's own door; undefined: POSTS_PER_MINUTE. */
  readonly postsPerMinute: number | undefined
  readonly isPaused: boolean
  readonly sealedToken: Uint8Array
  readonly tokenLast4: string
  readonly tokenSetAtMs: number
  readonly createdAtMs: number
}

export interface KeyRow {
  readonly keyId: string
  readonly label: string
  readonly adAccountIds: readonly string[]
  /** SHA-256 of the whole relay key: 32 bytes. */
  readonly keyHash: Uint8Array
  readonly createdAtMs: number
}

export interface VaultStore {
  accounts(): Promise<readonly AccountRow[]>
  /** Adds or replaces. */
  putAccount(row: AccountRow): Promise<void>
  deleteAccount(adAccountId: string): Promise<void>
  keys(): Promise<readonly KeyRow[]>
  putKey(row: KeyRow): Promise<void>
  deleteKey(keyId: string): Promise<void>
}
