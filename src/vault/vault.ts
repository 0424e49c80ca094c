/**
 * The vault: which accounts, grants and relay keys there are, and every secret that goes with them.
 *
 * All of it is small and is asked on every post, so it is held in memory and written through: a change counts once it
 * is committed. Documents are sealed in the store; opened secrets leave through `tokenOf`, `pairOf`, `clientOf` and
 * `secretsOf` alone. Where other replicas change it as well, each change is decided on fresh documents, while nobody else changes them.
 *
 * An account has a token of its own or uses its grant's. A grant is one person's consent to one app (an OAuth client),
 * and serves every account that names it; one that no account names any more is deleted, and so is an app.
 */
import type { ClientCredentials, IssuedPair, TokenPair } from '../pinterest/oauth.ts'
import type { StatisticsArchive } from '../telemetry/recent-statistics.ts'
import {
  changeAccount,
  digestOf,
  findOrphans,
  giveGrant,
  renew,
  type AccountChange,
  type NewGrant,
} from './changes.ts'
import { openRecords } from './open-records.ts'
import type { Account, Entry, Grant, Kind, Quality } from './records.ts'
import { keepKeys, type RelayKeys } from './relay-key.ts'
import type { Sealer } from './seal.ts'
import { keepSources, type Sources } from './sources.ts'
import type { VaultStore } from './vault-store.ts'

export type { AccountChange, TokenChange } from './changes.ts'
export type { Account, Grant, Quality, RelayKey, Source } from './records.ts'

/** What a refresh leaves behind beside a new pair. */
export type GrantNote = Partial<Pick<Grant, 'askedAtMs' | 'refusedAtMs' | 'failure'>>

export interface Vault extends RelayKeys, Sources {
  account(adAccountId: string): Account | undefined
  accounts(): readonly Account[]
  /** The bearer token for Pinterest. Never log, answer or store it. */
  tokenOf(adAccountId: string): string | undefined
  /** Registers an account or replaces its token and settings; a pause stays. Rejects with NO_GRANT for a grant that is gone. */
  putAccount(change: AccountChange): Promise<'added' | 'replaced' | 'token_missing'>
  setPaused(adAccountId: string, isPaused: boolean): Promise<boolean>
  deleteAccount(adAccountId: string): Promise<boolean>

  grant(grantId: string): Grant | undefined
  grants(): readonly Grant[]
  /** The grant that an account may use. */
  grantOf(adAccountId: string): Grant | undefined
  /** The accounts that may use a grant. */
  accountsOn(grantId: string): readonly string[]
  pairOf(grantId: string): TokenPair | undefined
  clientOf(clientId: string): ClientCredentials | undefined
  /** The grant whose refresh token this is or once was, as far as an operator can have it. */
  findGrant(refreshToken: string): Grant | undefined
  /** Gives these accounts a grant of their own; those that are gone meanwhile are left out. */
  addGrant(grant: NewGrant, adAccountIds: readonly string[]): Promise<void>
  /** Replaces a grant's pair, and its app's secret if one is given; false when the grant is gone. */
  renewGrant(grantId: string, pair: IssuedPair, clientSecret?: string): Promise<boolean>
  /** What is absent stays, what is undefined goes. */
  noteGrant(grantId: string, note: GrantNote): Promise<boolean>
  /**
   * Only who has the claim may use a grant's refresh token: false while another living replica has it. With it the grant
   * is as whoever had it before left it.
   */
  claimRefresh(grantId: string): Promise<boolean>
  endRefresh(grantId: string): Promise<void>

  quality(adAccountId: string): Quality | undefined
  putQuality(row: Quality): Promise<void>
  readonly statistics: StatisticsArchive

  /** Seals again every secret that an older master key sealed; answers how many. */
  reseal(): Promise<number>
  /** Another replica changed something: reads it. What is not told is found out before the next change. */
  reload(): Promise<void>
  /** Called after each committed change of an account or of the token that it uses, whoever made it. */
  onAccountChange(listener: (adAccountId: string) => void): void
}

export interface VaultOptions {
  readonly vaultStore: VaultStore
  readonly sealer: Sealer
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Opens every document once; rejects with CANNOT_OPEN if one cannot be opened by the master keys. */
export async function openVault({ vaultStore, sealer, now }: VaultOptions): Promise<Vault> {
  const records = await openRecords(vaultStore, sealer, findOrphans)
  const { change, edit, state, onAccountChange } = records

  return {
    ...keepKeys(records, now),
    ...keepSources(records, now),
    account: (adAccountId) => state().account.get(adAccountId)?.account,
    accounts: () => Array.from(state().account.values(), ({ account }) => account),
    tokenOf(adAccountId) {
      const record = state().account.get(adAccountId)
      if (record?.account.tokenKind !== 'oauth') return record?.token
      return state().grant.get(record.account.grantId!)?.pair.accessToken
    },
    putAccount: (accountChange) =>
      change(() => {
        const isKnown = state().account.has(accountChange.adAccountId)
        if (!isKnown && accountChange.token === undefined) return [[], 'token_missing']
        return [changeAccount(state(), accountChange, now()), isKnown ? 'replaced' : 'added']
      }),
    setPaused: (id, isPaused) =>
      edit('account', id, (known) => [
        ['account', id, { ...known, account: { ...known.account, isPaused } }],
      ]),
    deleteAccount: (id) => edit('account', id, () => [['account', id, undefined]]),

    grant: (grantId) => state().grant.get(grantId)?.grant,
    grantOf: (adAccountId) =>
      state().grant.get(state().account.get(adAccountId)?.account.grantId ?? '')?.grant,
    grants: () => Array.from(state().grant.values(), ({ grant }) => grant),
    accountsOn: (grantId) =>
      [...state().account].filter(([, { account }]) => account.grantId === grantId).map(([id]) => id),
    pairOf: (grantId) => state().grant.get(grantId)?.pair,
    clientOf: (clientId) => state().client.get(clientId),
    findGrant(refreshToken) {
      const digest = digestOf(refreshToken)
      return [...state().grant.values()].find(
        ({ givenDigest, pair }) => givenDigest === digest || pair.refreshToken === refreshToken,
      )?.grant
    },
    addGrant: (grant, adAccountIds) => change(() => [giveGrant(state(), grant, adAccountIds), undefined]),
    renewGrant: (id, pair, clientSecret) => edit('grant', id, (known) => renew(known, pair, clientSecret)),
    noteGrant: (id, note) =>
      edit('grant', id, (known) => [['grant', id, { ...known, grant: { ...known.grant, ...note } }]]),
    async claimRefresh(grantId) {
      if (!(await vaultStore.claim(grantId))) return false
      await change(() => [[], undefined])
      return true
    },
    endRefresh: (grantId) => vaultStore.unclaim(grantId),

    quality: (adAccountId) => state().quality.get(adAccountId),
    putQuality: (quality) => change(() => [[['quality', quality.adAccountId, quality]], undefined]),
    statistics: {
      read: (range) => state().statistics.get(range)?.samples ?? [],
      write: (range, samples) => change(() => [[['statistics', range, { samples }]], undefined]),
    },

    async reseal() {
      const stale = (await vaultStore.readVault()).filter(({ body }) => !sealer.isCurrent(body))
      if (stale.length === 0) return 0
      return change(() => {
        const entries = stale.flatMap(({ kind, id }) => {
          const record = state()[kind as Kind]?.get(id)
          return record === undefined ? [] : [[kind, id, record] as Entry]
        })
        return [entries, entries.length]
      })
    },
    reload: () => change(() => [[], undefined]),
    onAccountChange,
  }
}
