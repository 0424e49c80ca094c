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
import { randomBytes, randomUUID } from 'node:crypto'
import { sha256Hex } from '../events/hash.ts'
import type { ClientCredentials, IssuedPair } from '../pinterest/oauth.ts'
import type { StatisticsArchive } from '../telemetry/recent-statistics.ts'
import { adoptAccount, copyAccount } from './account-copy.ts'
import { changeAccount, giveGrant, renew, type AccountChange, type NewGrant } from './changes.ts'
import { openRecords, type OpenRecords } from './open-records.ts'
import type { Entry, Grant, GrantRecord, Kind, Quality, RelayKey, Source } from './records.ts'
import type { Sealer } from './seal.ts'
import type { VaultStore } from './vault-store.ts'

export type { AccountChange, TokenChange } from './changes.ts'
export type { Account, Grant, Quality, RelayKey, Source } from './records.ts'

/** What a refresh notes besides a new pair. */
export type GrantNote = Partial<Pick<Grant, 'askedAtMs' | 'failure'>>

/** A grant as it was before its refresh, and what it is asked with. */
export interface GrantToAsk extends Pick<GrantRecord, 'grant' | 'pair'> {
  readonly client: ClientCredentials
}

export type Vault = Awaited<ReturnType<typeof openVault>>

export interface VaultOptions {
  readonly vaultStore: VaultStore
  readonly sealer: Sealer
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Opens every document once; rejects with CANNOT_OPEN if one cannot be opened by the master keys. */
export async function openVault({ vaultStore, sealer, now }: VaultOptions) {
  const records = await openRecords(vaultStore, sealer)
  const { change, state, onAccountChange } = records
  const reload = () => change(() => [[], undefined])
  const statistics: StatisticsArchive = {
    read: (range) => state().statistics.get(range) ?? [],
    write: (all) =>
      change(() => [all.map(({ range, kept }): Entry => ['statistics', range, kept]), undefined]),
  }

  return {
    ...keepKeys(records, now),
    ...keepSources(records, now),
    ...keepAccounts(records, now),
    ...keepGrants(records),
    /** Sealed, for another cell: see account-copy.ts. Undefined for an account that is not there. */
    copyAccount: (id: string) => copyAccount(state(), id, sealer),
    adoptAccount: (id: string, copy: string) =>
      change(() => [adoptAccount(state(), id, copy, sealer), undefined]),
    /**
     * Claims a grant for one refresh and notes that it is asked for. Only its holder may use the refresh token, and
     * sees the grant as the holder before left it. `elsewhere`: another living replica has it; `renewed`: the pair is no
     * longer the one that was issued then.
     */
    async beginRefresh(grantId: string, issuedAtMs: number | undefined, askedAtMs: number) {
      if (!(await vaultStore.claim(grantId))) return 'elsewhere'
      return change<GrantToAsk | 'renewed' | 'gone'>(() => {
        const known = state().grant.get(grantId)
        const client = state().client.get(known?.grant.clientId ?? '')
        if (known === undefined || client === undefined) return [[], 'gone']
        const { grant, pair } = known
        if (issuedAtMs !== undefined && issuedAtMs !== grant.issuedAtMs) return [[], 'renewed']
        const asked = { ...known, grant: { ...grant, askedAtMs } }
        return [[['grant', grantId, asked]], { grant, pair, client }]
      })
    },
    /** Ends with the process where it does not reach the store. */
    unclaim: (name: string) => vaultStore.unclaim(name).catch(() => undefined),
    claim: (name: string) => vaultStore.claim(name),

    quality: (adAccountId: string) => state().quality.get(adAccountId),
    putQuality: (all: readonly Quality[]) =>
      change(() => [all.map((quality): Entry => ['quality', quality.adAccountId, quality]), undefined]),
    statistics,

    /** Seals again every secret that an older master key sealed; answers how many. */
    async reseal(): Promise<number> {
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
    /** Another replica changed something: reads it. A change that was not reported is found before the next one. */
    reload,
    /** Called after each committed change of an account or of the token that it uses, by any replica. */
    onAccountChange,
  }
}

function keepAccounts({ change, edit, state }: OpenRecords, now: () => number) {
  return {
    account: (adAccountId: string) => state().account.get(adAccountId)?.account,
    accounts: () => Array.from(state().account.values(), ({ account }) => account),
    /** The bearer token for Pinterest. Never log, answer or store it. */
    tokenOf(adAccountId: string): string | undefined {
      const record = state().account.get(adAccountId)
      if (record?.account.tokenKind !== 'oauth') return record?.token
      return state().grant.get(record.account.grantId!)?.pair.accessToken
    },
    /** Registers an account or replaces its token and settings; a pause stays. Rejects with NO_GRANT for a grant that is gone. */
    putAccount: (accountChange: AccountChange) =>
      change<'added' | 'replaced' | 'token_missing'>(() => {
        const isKnown = state().account.has(accountChange.adAccountId)
        if (!isKnown && accountChange.token === undefined) return [[], 'token_missing']
        return [changeAccount(state(), accountChange, now()), isKnown ? 'replaced' : 'added']
      }),
    /** The grant in place of the account's own token, if it still has that one: answers whether. */
    replaceByGrant: (adAccountId: string, refusedToken: string) =>
      change(() => {
        const known = state().account.get(adAccountId)
        const { grantId, tokenKind } = known?.account ?? {}
        if (grantId === undefined || tokenKind === 'oauth' || known?.token !== refusedToken)
          return [[], false]
        return [changeAccount(state(), { adAccountId, token: { kind: 'grant', grantId } }, now()), true]
      }),
    setPaused: (id: string, isPaused: boolean) =>
      edit('account', id, (known) => [
        ['account', id, { ...known, account: { ...known.account, isPaused } }],
      ]),
    deleteAccount: (id: string) => edit('account', id, () => [['account', id, undefined]]),
  }
}

function keepGrants({ change, edit, state }: OpenRecords) {
  const grantOf = (adAccountId: string) => {
    const grantId = state().account.get(adAccountId)?.account.grantId
    return grantId === undefined ? undefined : state().grant.get(grantId)?.grant
  }
  return {
    grant: (grantId: string) => state().grant.get(grantId)?.grant,
    grants: () => Array.from(state().grant.values(), ({ grant }) => grant),
    /** The grant that an account may use. */
    grantOf,
    /** The accounts that may use a grant. */
    accountsOn: (grantId: string) =>
      [...state().account].filter(([, { account }]) => account.grantId === grantId).map(([id]) => id),
    pairOf: (grantId: string) => state().grant.get(grantId)?.pair,
    clientOf: (clientId: string) => state().client.get(clientId),
    /** The grant whose refresh token this is or once was, as far as an operator can have it. */
    findGrant(refreshToken: string): Grant | undefined {
      const digest = sha256Hex(refreshToken)
      return [...state().grant.values()].find(
        ({ givenDigest, pair }) => givenDigest === digest || pair.refreshToken === refreshToken,
      )?.grant
    },
    /** Gives these accounts a grant of their own; those that are gone meanwhile are left out. */
    addGrant: (grant: NewGrant, adAccountIds: readonly string[]) =>
      change(() => [giveGrant(state(), grant, adAccountIds), undefined]),
    /** Replaces a grant's pair, and its app's secret if one is given; false when the grant is gone. */
    renewGrant: (id: string, pair: IssuedPair, clientSecret?: string) =>
      edit('grant', id, (known) => renew(known, pair, clientSecret)),
    /** What is absent stays, what is undefined goes. */
    noteGrant: (id: string, note: GrantNote) =>
      edit('grant', id, (known) => [['grant', id, { ...known, grant: { ...known.grant, ...note } }]]),
  }
}

/** How relay keys begin: 256 random bits follow. */
const PREFIX = 'prl_'

/**
 * What storefronts present as their access token, shown once and stored as a SHA-256 (enough for 256 random bits).
 */
function keepKeys({ change, state }: OpenRecords, now: () => number) {
  const usedAtMs = new Map<string, number>()
  const keyUseKnownSinceMs = now()
  return {
    /** The key that this bearer value is, if it is one. Found by its hash, so that timing reveals nothing of a key. */
    authenticate(relayKey: string): RelayKey | undefined {
      const key = state().key.get(sha256Hex(relayKey))
      if (key !== undefined) usedAtMs.set(key.keyId, now())
      return key
    },
    /** Answers the key itself, this once. */
    createKey: ({ label, adAccountIds }: Pick<RelayKey, 'label' | 'adAccountIds'>) =>
      change(() => {
        const relayKey = PREFIX + randomBytes(32).toString('base64url')
        const key: RelayKey = {
          keyId: randomUUID(),
          // Of 256 bits it gives 24 away.
          prefix: relayKey.slice(0, PREFIX.length + 4),
          label,
          adAccountIds: [...new Set(adAccountIds)],
          createdAtMs: now(),
        }
        return [[['key', sha256Hex(relayKey), key]], { ...key, relayKey }]
      }),
    keys: () =>
      [...state().key.values()].toSorted(
        (a, b) => a.createdAtMs - b.createdAtMs || (a.keyId < b.keyId ? -1 : 1),
      ),
    /** When this process was last posted to with the key; undefined: not since it started. */
    keyUsedAtMs: (keyId: string) => usedAtMs.get(keyId),
    keyUseKnownSinceMs,
    deleteKey: (keyId: string) =>
      change<boolean>(() => {
        const [keyHash] = [...state().key].find(([, key]) => key.keyId === keyId) ?? []
        return keyHash === undefined ? [[], false] : [[['key', keyHash, undefined]], true]
      }),
  }
}

interface SourceChange {
  readonly sourceId: string
  /** Made of what the source is by then. What it throws changes nothing. */
  readonly settings: (before: Source | undefined) => SourceSettings
  /** Replaces the one in use, which stays valid; undefined: the one in use stays. */
  readonly secret: string | undefined
  readonly dropsPreviousSecret: boolean
}

export type SourceSettings = Pick<Source, 'adAccountId' | 'label' | 'bots' | 'options'>

/** Shops whose webhooks are taken, and what they are signed with. */
function keepSources({ state, change, edit }: OpenRecords, now: () => number) {
  return {
    source: (sourceId: string) => state().source.get(sourceId)?.source,
    sources: () => Array.from(state().source.values(), ({ source }) => source),
    /** The current one first. Never log, answer or store them. */
    secretsOf: (sourceId: string) => state().source.get(sourceId)?.secrets,
    /** Registers a source or replaces its settings; its secret, too, if one is given. */
    putSource: ({ sourceId, settings, secret, dropsPreviousSecret }: SourceChange) =>
      change<'added' | 'replaced' | 'secret_missing'>(() => {
        const before = state().source.get(sourceId)
        const known = before?.secrets ?? []
        const isNew = secret !== undefined && secret !== known[0]
        const all = isNew ? [secret, ...known] : known
        const secrets = all.slice(0, dropsPreviousSecret ? 1 : 2)
        if (secrets.length === 0) return [[], 'secret_missing']
        const source: Source = {
          sourceId,
          ...settings(before?.source),
          secretSetAtMs: isNew || before === undefined ? now() : before.source.secretSetAtMs,
          createdAtMs: before?.source.createdAtMs ?? now(),
        }
        return [[['source', sourceId, { source, secrets }]], before === undefined ? 'added' : 'replaced']
      }),
    deleteSource: (sourceId: string) => edit('source', sourceId, () => [['source', sourceId, undefined]]),
  }
}
