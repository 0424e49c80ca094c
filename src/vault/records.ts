/**
 * What the vault keeps, each record as one sealed document. Records hold open secrets: they live in memory, and leave it
 * sealed, through open-records.ts alone.
 */
import type { ClientCredentials, PairTerms, TokenPair } from '../pinterest/oauth.ts'
import type { QualityScore } from '../pinterest/quality-score.ts'
import type { SourceOptions } from '../sources/source.ts'
import type { StatisticsSample } from '../telemetry/recent-statistics.ts'

/**
 * What an account calls Pinterest with: a token that an operator gave, a conversion token that the relay had minted, its
 * grant's access token, or nothing yet (it waits for consent).
 */
export const TOKEN_KINDS = ['given', 'conversion', 'oauth', 'none'] as const
export type TokenKind = (typeof TOKEN_KINDS)[number]

/** What may be known of an account outside of the vault: all but its token. */
export interface Account {
  readonly adAccountId: string
  readonly label: string
  /** ISO 3166-1 alpha-2, lower case. */
  readonly country: string | undefined
  readonly dobFormat: 'DMY' | 'MDY' | undefined
  /** What becomes of events whose user agent is a bot's. */
  readonly bots: 'send' | 'filter'
  /** Its own names for events, and what is sent for them. */
  readonly eventNames: Readonly<Record<string, string>>
  /** The account's own post limiter; undefined: POSTS_PER_MINUTE. */
  readonly postsPerMinute: number | undefined
  readonly isPaused: boolean
  readonly tokenKind: TokenKind
  /** Of its own token. */
  readonly tokenSetAtMs: number
  /** The app that asks for consent for this account. */
  readonly clientId: string | undefined
  /** The grant that it may use, whether its token is the grant's or its own. */
  readonly grantId: string | undefined
  readonly createdAtMs: number
}

/** What operators set of an account. */
export type AccountSettings = Pick<
  Account,
  'label' | 'country' | 'dobFormat' | 'bots' | 'eventNames' | 'postsPerMinute'
>

/** What is absent stays as it is; null goes back to the default. */
export type Given<Settings> = { readonly [Name in keyof Settings]?: Settings[Name] | null | undefined }

export function changeSettings<Settings extends object>(
  before: Settings,
  given: Given<Settings>,
  standard: Settings,
): Settings {
  const names = Object.keys(standard) as (keyof Settings)[]
  const chosen = names.map((name) => [
    name,
    given[name] === undefined ? before[name] : (given[name] ?? standard[name]),
  ])
  return Object.fromEntries(chosen) as Settings
}

/** What preparing an event needs of its account. An empty map is left out, since it would travel to the engine with each post. */
export function preparingOf({ country, dobFormat, bots, eventNames }: Account) {
  const own = Object.keys(eventNames).length === 0 ? undefined : eventNames
  return { accountCountry: country, dobFormat, bots, eventNames: own }
}

/** A person's consent: a pair of tokens that is replaced as a whole, for as many accounts as that person may use. */
export interface Grant extends PairTerms {
  readonly grantId: string
  readonly clientId: string
  /** A refresh was sent and its answer is not written yet: the refresh token may be used up. */
  readonly askedAtMs: number | undefined
  /** Undefined once a refresh succeeded. */
  readonly failure: RefreshFailure | undefined
}

export interface TokenFailure {
  readonly atMs: number
  /** Scrubbed. */
  readonly reason: string
}

/** Why the last refresh failed. */
export interface RefreshFailure extends TokenFailure {
  /** In a row. */
  readonly count: number
  /** This one or one of those before: a person has to consent again. */
  readonly isRefused: boolean
}

/** What Pinterest said of an account's events (Event Quality Score). */
export interface Quality {
  readonly adAccountId: string
  readonly fetchedAtMs: number | undefined
  readonly scores: readonly QualityScore[]
  readonly failure: TokenFailure | undefined
}

export interface RelayKey {
  readonly keyId: string
  /** How the key begins, so that people recognize theirs. */
  readonly prefix: string
  readonly label: string
  readonly adAccountIds: readonly string[]
  readonly createdAtMs: number
}

/** A shop that connects by itself. What may be known of it outside of the vault: all but its secrets. */
export interface Source {
  readonly sourceId: string
  readonly adAccountId: string
  readonly label: string
  /** Undefined: as the account has it. */
  readonly bots: Account['bots'] | undefined
  readonly options: SourceOptions
  readonly secretSetAtMs: number
  readonly createdAtMs: number
}

export interface SourceRecord {
  readonly source: Source
  /** The current one first. */
  readonly secrets: readonly string[]
}

export interface AccountRecord {
  readonly account: Account
  /** Its own; undefined with kinds `oauth` and `none`. */
  readonly token: string | undefined
}

export interface GrantRecord {
  readonly grant: Grant
  readonly pair: TokenPair
  /** SHA-256 in hex of the refresh token that an operator gave: it identifies the grant even after it was used up. */
  readonly givenDigest: string | undefined
}

/** By kind of document. A document's id is its record's; a relay key's is the SHA-256 of the key, in hex. */
export interface Records {
  readonly account: AccountRecord
  readonly client: ClientCredentials
  readonly grant: GrantRecord
  readonly quality: Quality
  readonly key: RelayKey
  readonly source: SourceRecord
  /** Recent statistics of a range: not secret, but every restart needs them. */
  readonly statistics: readonly StatisticsSample[]
}

export type Kind = keyof Records
export type VaultState = { readonly [K in Kind]: ReadonlyMap<string, Records[K]> }

/** A record that is put; undefined: it is removed. */
export type Entry = { [K in Kind]: readonly [kind: K, id: string, record: Records[K] | undefined] }[Kind]
export type Change = readonly Entry[]

const KINDS = ['account', 'client', 'grant', 'quality', 'key', 'source', 'statistics'] satisfies Kind[]
// Each map's records are of its kind.
export const EMPTY_STATE = Object.fromEntries(KINDS.map((kind) => [kind, new Map()])) as unknown as VaultState

export function applyChange(state: VaultState, change: Change): VaultState {
  const after = { ...state } as Record<Kind, ReadonlyMap<string, unknown>>
  for (const kind of new Set(change.map(([kind]) => kind))) after[kind] = new Map(after[kind])
  for (const [kind, id, record] of change) {
    const records = after[kind] as Map<string, unknown>
    if (record === undefined) records.delete(id)
    else records.set(id, record)
  }
  return after as VaultState
}
