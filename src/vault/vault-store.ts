/**
 * Where accounts, grants and relay keys are kept, apart from the queue: a queue that breaks takes no token with it.
 * Every change resolves after a synced commit. Secrets arrive here sealed or hashed and are never opened.
 */

/**
 * What an account calls Pinterest with: a token that an operator gave, a conversion token that the relay had minted, its
 * grant's access token, or nothing yet (it waits for somebody's consent).
 */
export type TokenKind = 'given' | 'conversion' | 'oauth' | 'none'

export interface AccountRow {
  readonly adAccountId: string
  readonly label: string
  /** ISO 3166-1 alpha-2, lower case. */
  readonly country: string | undefined
  readonly dobFormat: 'DMY' | 'MDY' | undefined
  /** The account's own post limiter; undefined: POSTS_PER_MINUTE. */
  readonly postsPerMinute: number | undefined
  readonly isPaused: boolean
  readonly tokenKind: TokenKind
  /** The account's own token; undefined with kinds `oauth` and `none`. */
  readonly sealedToken: Uint8Array | undefined
  readonly tokenLast4: string
  readonly tokenSetAtMs: number
  /** The app that asks for consent for this account. */
  readonly clientId: string | undefined
  /** The grant that it may use, whether its token is the grant's or its own. */
  readonly grantId: string | undefined
  readonly createdAtMs: number
}

/** An app at Pinterest, through which accounts are authorized. */
export interface OauthClientRow {
  readonly clientId: string
  readonly sealedSecret: Uint8Array
}

/** Somebody's consent: a pair of tokens that is replaced as a whole, for as many accounts as that person may use. */
export interface GrantRow {
  readonly grantId: string
  readonly clientId: string
  /** Access and refresh token: what is used up and what replaces it can never be told apart wrongly. */
  readonly sealedPair: Uint8Array
  readonly accessTokenLast4: string
  /** As Pinterest writes it: a comma list. */
  readonly scope: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** Undefined where Pinterest did not say. */
  readonly refreshExpiresAtMs: number | undefined
  /** SHA-256 in hex of the refresh token that an operator gave: it names the grant even when it is long used up. */
  readonly givenDigest: string | undefined
  /** A refresh was sent and its answer is not written yet: the refresh token may be used up. */
  readonly askedAtMs: number | undefined
  /** Pinterest refused the refresh token: somebody has to consent again. */
  readonly refusedAtMs: number | undefined
  readonly failure: TokenFailure | undefined
}

export interface TokenFailure {
  readonly atMs: number
  /** Scrubbed. */
  readonly reason: string
}

/** What Pinterest said of an account's events (Event Quality Score), as JSON that was checked. */
export interface QualityRow {
  readonly adAccountId: string
  readonly fetchedAtMs: number | undefined
  readonly scores: string
  readonly failure: TokenFailure | undefined
}

export interface KeyRow {
  readonly keyId: string
  readonly label: string
  readonly adAccountIds: readonly string[]
  /** SHA-256 of the whole relay key: 32 bytes. */
  readonly keyHash: Uint8Array
  readonly createdAtMs: number
}

/** What is put is added or replaced. */
export interface VaultChange {
  readonly accounts?: readonly AccountRow[]
  readonly clients?: readonly OauthClientRow[]
  readonly grants?: readonly GrantRow[]
  readonly qualities?: readonly QualityRow[]
  /** With what Pinterest said of them. */
  readonly deletedAccounts?: readonly string[]
  readonly deletedClients?: readonly string[]
  readonly deletedGrants?: readonly string[]
}

export interface VaultRows {
  readonly accounts: readonly AccountRow[]
  readonly clients: readonly OauthClientRow[]
  readonly grants: readonly GrantRow[]
  readonly qualities: readonly QualityRow[]
  readonly keys: readonly KeyRow[]
}

export interface VaultStore {
  readVault(): Promise<VaultRows>
  /** All of it or nothing. */
  changeVault(change: VaultChange): Promise<void>
  putKey(row: KeyRow): Promise<void>
  deleteKey(keyId: string): Promise<void>
  /**
   * Runs `work` while no other replica changes the vault; `fresh` are its rows if another one may have changed them since
   * this store read them here last. At most one change is made inside, as the last thing that is asked of the store: it is
   * committed at once, and others may change the vault from then on. One at a time: the caller sees to that.
   */
  exclusively<Result>(work: (fresh: VaultRows | undefined) => Promise<Result>): Promise<Result>
  /** Whether this name is this process's now: false while another living replica has it. Ends with `unclaim` or the process. */
  claim(name: string): Promise<boolean>
  unclaim(name: string): Promise<void>
}
