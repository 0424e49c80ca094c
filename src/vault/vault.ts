/**
 * The vault: which accounts, grants and relay keys there are, and every secret that goes with them.
 *
 * All of it is small and is asked on every post, so it is held in memory and written through: a change counts once it
 * is committed. Secrets are sealed in the store; opened ones leave through `tokenOf`, `pairOf` and `clientOf` alone.
 * Where other replicas change it as well, each change is decided on fresh rows, while nobody else changes them.
 *
 * An account has a token of its own or uses its grant's. A grant is one person's consent to one app (an OAuth client),
 * and serves every account that names it; one that no account names any more is deleted, and so is an app.
 */
import { randomUUID, timingSafeEqual } from 'node:crypto'
import { NoGrant } from '../errors.ts'
import { hashRelayKey, hashRelayKeyHex, makeRelayKey } from './relay-key.ts'
import { findOrphans } from './orphans.ts'
import { columnsOf, createRows, digestOf, givenGrant } from './rows.ts'
import type { Sealer } from './seal.ts'
import { createSecrets, type TokenPair } from './secrets.ts'
import type {
  AccountRow,
  GrantRow,
  KeyRow,
  OauthClientRow,
  QualityRow,
  VaultChange,
  VaultRows,
  VaultStore,
} from './vault-store.ts'

/** What may be known of an account outside of the vault: all but its token. */
export type Account = Omit<AccountRow, 'sealedToken'>
export type Grant = Omit<GrantRow, 'sealedPair' | 'givenDigest'>

/** An app at Pinterest. */
export interface OauthClient {
  readonly clientId: string
  /** Never log or answer it. */
  readonly clientSecret: string
}

/** What Pinterest granted, as it is first known. */
export interface IssuedPair extends TokenPair {
  /** A comma list, as Pinterest writes it. */
  readonly scope: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  readonly refreshExpiresAtMs: number | undefined
}

export interface NewGrant {
  readonly client: OauthClient
  readonly pair: IssuedPair
  /** The refresh token that an operator gave, if one did. */
  readonly givenRefreshToken?: string | undefined
}

/** What an account's token becomes. */
export type TokenChange =
  | { readonly kind: 'given' | 'conversion'; readonly accessToken: string }
  | { readonly kind: 'grant'; readonly grantId: string }
  | { readonly kind: 'new_grant'; readonly grant: NewGrant }
  /** Only names the app that will ask for consent: the token in use stays. */
  | { readonly kind: 'client'; readonly client: OauthClient }

/** What is absent stays as it is; null goes back to the default. */
export interface AccountChange {
  readonly adAccountId: string
  /** Required for an account that is not there yet. */
  readonly token?: TokenChange | undefined
  readonly label?: string | null | undefined
  readonly country?: string | null | undefined
  readonly dobFormat?: 'DMY' | 'MDY' | null | undefined
  readonly postsPerMinute?: number | null | undefined
}

/** What a refresh leaves behind beside a new pair. */
export type GrantNote = Partial<Pick<GrantRow, 'askedAtMs' | 'refusedAtMs' | 'failure'>>

export interface RelayKey {
  readonly keyId: string
  readonly label: string
  readonly adAccountIds: readonly string[]
  readonly createdAtMs: number
}

export interface Vault {
  /** The key that this bearer value is, if it is one. */
  authenticate(relayKey: string): RelayKey | undefined
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
  /** The accounts that may use a grant. */
  accountsOn(grantId: string): readonly string[]
  pairOf(grantId: string): TokenPair | undefined
  clientOf(clientId: string): OauthClient | undefined
  /** The grant whose refresh token this is or once was, as far as an operator can have it. */
  findGrant(refreshToken: string): Grant | undefined
  /** Gives these accounts a grant of their own; those that are gone meanwhile are left out. */
  addGrant(grant: NewGrant, adAccountIds: readonly string[]): Promise<void>
  /** Replaces a grant's pair, and its app's secret if one is given; false when the grant is gone. */
  renewGrant(grantId: string, pair: IssuedPair, clientSecret?: string): Promise<boolean>
  /** What is absent stays, what is undefined goes. */
  noteGrant(grantId: string, note: GrantNote): Promise<void>
  /**
   * Only who has the claim may use a grant's refresh token: false while another living replica has it. With it the grant
   * is as whoever had it before left it.
   */
  claimRefresh(grantId: string): Promise<boolean>
  endRefresh(grantId: string): Promise<void>

  quality(adAccountId: string): QualityRow | undefined
  putQuality(row: QualityRow): Promise<void>

  /** Answers the key itself, this once. */
  createKey(key: { label: string; adAccountIds: readonly string[] }): Promise<RelayKey & { relayKey: string }>
  keys(): readonly RelayKey[]
  deleteKey(keyId: string): Promise<boolean>
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

interface AccountEntry {
  readonly row: AccountRow
  readonly account: Account
  /** Its own. */
  readonly token: string | undefined
}

interface GrantEntry {
  readonly row: GrantRow
  readonly pair: TokenPair
}

interface ClientEntry {
  readonly row: OauthClientRow
  readonly clientSecret: string
}

interface KeyEntry {
  readonly key: RelayKey
  readonly keyHash: Uint8Array
}

/** Opens every secret once; rejects with CANNOT_OPEN if one cannot be opened by the master keys. */
export async function openVault({ vaultStore, sealer, now }: VaultOptions): Promise<Vault> {
  const secrets = createSecrets(sealer)
  const rows = createRows(secrets, now)
  const accounts = new Map<string, AccountEntry>()
  const grants = new Map<string, GrantEntry>()
  const clients = new Map<string, ClientEntry>()
  const qualities = new Map<string, QualityRow>()
  const keysByHash = new Map<string, KeyEntry>()
  const listeners: ((adAccountId: string) => void)[] = []

  adopt(await vaultStore.readVault())

  /** The rows of the store, instead of what was known; answers the accounts of which something changed. */
  function adopt({ keys, ...found }: VaultRows): string[] {
    const before = new Map(
      Array.from(accounts.keys(), (adAccountId) => [adAccountId, fingerprint(adAccountId)]),
    )
    const all = [accounts, grants, clients, qualities, keysByHash] as Map<string, unknown>[]
    const copies = all.map((known) => [...known])
    for (const known of all) known.clear()
    try {
      remember(found)
    } catch (error) {
      // Another replica sealed with a key that this one does not have: what it knows still serves.
      for (const [index, known] of all.entries()) for (const entry of copies[index]!) known.set(...entry)
      throw error
    }
    for (const row of keys) rememberKey(row)
    const ids = new Set([...before.keys(), ...accounts.keys()])
    return [...ids].filter((adAccountId) => before.get(adAccountId) !== fingerprint(adAccountId))
  }

  /** Tells whether an account, or the pair of the grant that it may use, is still the same. */
  function fingerprint(adAccountId: string): string | undefined {
    const row = accounts.get(adAccountId)?.row
    return row && JSON.stringify([row, grants.get(row.grantId ?? '')?.row.sealedPair])
  }

  function remember(change: VaultChange): void {
    for (const row of change.clients ?? []) {
      clients.set(row.clientId, { row, clientSecret: secrets.openClientSecret(row) })
    }
    for (const row of change.grants ?? []) grants.set(row.grantId, { row, pair: secrets.openPair(row) })
    for (const row of change.accounts ?? []) {
      const { sealedToken: _, ...account } = row
      accounts.set(row.adAccountId, { row, account, token: secrets.openToken(row) })
    }
    for (const row of change.qualities ?? []) qualities.set(row.adAccountId, row)
    for (const adAccountId of change.deletedAccounts ?? []) {
      accounts.delete(adAccountId)
      qualities.delete(adAccountId)
    }
    for (const grantId of change.deletedGrants ?? []) grants.delete(grantId)
    for (const clientId of change.deletedClients ?? []) clients.delete(clientId)
  }

  function rememberKey({ keyHash, ...key }: KeyRow): void {
    keysByHash.set(Buffer.from(keyHash).toString('hex'), { key, keyHash })
  }

  // Changes run one after the other, here and over all replicas: each reads the state that the one before it committed.
  let last: Promise<unknown> = Promise.resolve()
  function inOrder<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = last.then(() =>
      vaultStore.exclusively((fresh) => {
        if (fresh !== undefined) adopt(fresh).forEach(tellListeners)
        return change()
      }),
    )
    last = result.catch(() => undefined)
    return result
  }

  /** With what nobody needs any more after it, in the same transaction. */
  async function commit(change: VaultChange): Promise<void> {
    const whole = { ...change, ...findOrphans(rowsNow(), change) }
    await vaultStore.changeVault(whole)
    remember(whole)
  }

  const rowsNow = () => ({
    accounts: Array.from(accounts.values(), ({ row }) => row),
    grants: Array.from(grants.values(), ({ row }) => row),
    clients: Array.from(clients.values(), ({ row }) => row),
  })
  const tellListeners = (adAccountId: string) => listeners.forEach((listener) => listener(adAccountId))
  function findGrantRow(grantId: string): GrantRow {
    const entry = grants.get(grantId)
    // Its last account was deleted while somebody asked to share it.
    if (entry === undefined) throw new NoGrant('The grant is gone.')
    return entry.row
  }
  const accountsOn = (grantId: string) =>
    [...accounts.values()].filter(({ row }) => row.grantId === grantId).map(({ row }) => row.adAccountId)

  return {
    authenticate(relayKey) {
      const keyHash = hashRelayKeyHex(relayKey)
      const entry = keysByHash.get(keyHash)
      // The look-up is by hash, so its timing tells nothing of a key; the comparison proper takes constant time.
      return entry && timingSafeEqual(entry.keyHash, Buffer.from(keyHash, 'hex')) ? entry.key : undefined
    },

    account: (adAccountId) => accounts.get(adAccountId)?.account,
    accounts: () => Array.from(accounts.values(), ({ account }) => account),
    tokenOf(adAccountId) {
      const entry = accounts.get(adAccountId)
      if (entry?.row.tokenKind !== 'oauth') return entry?.token
      return grants.get(entry.row.grantId!)?.pair.accessToken
    },

    putAccount: ({ adAccountId, token: tokenChange, ...settings }) =>
      inOrder(async () => {
        const known = accounts.get(adAccountId)?.row
        if (known === undefined && tokenChange === undefined) return 'token_missing'
        const { token, with: others } = rows.changeToken(adAccountId, known, tokenChange, findGrantRow)
        const row: AccountRow = {
          adAccountId,
          label: choose(settings.label, known?.label) ?? '',
          country: choose(settings.country, known?.country),
          dobFormat: choose(settings.dobFormat, known?.dobFormat),
          postsPerMinute: choose(settings.postsPerMinute, known?.postsPerMinute),
          isPaused: known?.isPaused ?? false,
          ...columnsOf(token),
          createdAtMs: known?.createdAtMs ?? now(),
        }
        await commit({ ...others, accounts: [row] })
        tellListeners(adAccountId)
        return known ? 'replaced' : 'added'
      }),

    setPaused: (adAccountId, isPaused) =>
      inOrder(async () => {
        const known = accounts.get(adAccountId)
        if (!known) return false
        await commit({ accounts: [{ ...known.row, isPaused }] })
        tellListeners(adAccountId)
        return true
      }),

    deleteAccount: (adAccountId) =>
      inOrder(async () => {
        if (!accounts.has(adAccountId)) return false
        await commit({ deletedAccounts: [adAccountId] })
        tellListeners(adAccountId)
        return true
      }),

    grant: (grantId) => grants.get(grantId)?.row,
    grants: () => Array.from(grants.values(), ({ row }) => row),
    accountsOn,
    pairOf: (grantId) => grants.get(grantId)?.pair,
    clientOf(clientId) {
      const entry = clients.get(clientId)
      return entry && { clientId, clientSecret: entry.clientSecret }
    },
    findGrant(refreshToken) {
      const digest = digestOf(refreshToken)
      return [...grants.values()].find(
        ({ row, pair }) => row.givenDigest === digest || pair.refreshToken === refreshToken,
      )?.row
    },

    addGrant: (grant, adAccountIds) =>
      inOrder(async () => {
        const row = rows.newGrant(grant)
        const changed = adAccountIds
          .flatMap((adAccountId) => accounts.get(adAccountId)?.row ?? [])
          .map((account) => ({ ...account, ...givenGrant(row, account) }))
        if (changed.length === 0) return
        await commit({ grants: [row], clients: [rows.client(grant.client)], accounts: changed })
        for (const { adAccountId } of changed) tellListeners(adAccountId)
      }),

    renewGrant: (grantId, pair, clientSecret) =>
      inOrder(async () => {
        const known = grants.get(grantId)
        if (!known) return false
        const { clientId, givenDigest } = known.row
        const row = rows.grant(grantId, clientId, pair, givenDigest)
        const client = clientSecret === undefined ? [] : [rows.client({ clientId, clientSecret })]
        await commit({ grants: [row], clients: client })
        for (const adAccountId of accountsOn(grantId)) tellListeners(adAccountId)
        return true
      }),

    noteGrant: (grantId, note) =>
      inOrder(async () => {
        const known = grants.get(grantId)
        if (known) await commit({ grants: [{ ...known.row, ...note }] })
      }),

    async claimRefresh(grantId) {
      if (!(await vaultStore.claim(grantId))) return false
      await inOrder(() => Promise.resolve())
      return true
    },
    endRefresh: (grantId) => vaultStore.unclaim(grantId),

    quality: (adAccountId) => qualities.get(adAccountId),
    putQuality: (row) =>
      inOrder(async () => {
        if (accounts.has(row.adAccountId)) await commit({ qualities: [row] })
      }),

    createKey: ({ label, adAccountIds }) =>
      inOrder(async () => {
        const relayKey = makeRelayKey()
        const row: KeyRow = {
          keyId: randomUUID(),
          label,
          adAccountIds: [...new Set(adAccountIds)],
          keyHash: hashRelayKey(relayKey),
          createdAtMs: now(),
        }
        await vaultStore.putKey(row)
        rememberKey(row)
        const { keyHash: _, ...key } = row
        return { ...key, relayKey }
      }),

    keys: () => Array.from(keysByHash.values(), ({ key }) => key),

    deleteKey: (keyId) =>
      inOrder(async () => {
        const found = [...keysByHash].find(([, { key }]) => key.keyId === keyId)
        if (!found) return false
        await vaultStore.deleteKey(keyId)
        keysByHash.delete(found[0])
        return true
      }),

    reseal: () =>
      inOrder(async () => {
        const isStale = (sealed: Uint8Array | undefined) => sealed !== undefined && !secrets.isCurrent(sealed)
        const staleAccounts = [...accounts.values()].filter(({ row }) => isStale(row.sealedToken))
        const staleGrants = [...grants.values()].filter(({ row }) => isStale(row.sealedPair))
        const staleClients = [...clients.values()].filter(({ row }) => isStale(row.sealedSecret))
        const count = staleAccounts.length + staleGrants.length + staleClients.length
        if (count === 0) return 0
        await commit({
          accounts: staleAccounts.map(({ row, token }) => ({
            ...row,
            sealedToken: secrets.sealToken(row.adAccountId, token!),
          })),
          grants: staleGrants.map(({ row, pair }) => ({
            ...row,
            sealedPair: secrets.sealPair(row.grantId, pair),
          })),
          clients: staleClients.map(({ row, clientSecret }) =>
            rows.client({ clientId: row.clientId, clientSecret }),
          ),
        })
        return count
      }),

    reload: () => inOrder(() => Promise.resolve()),
    onAccountChange: (listener) => void listeners.push(listener),
  }
}

function choose<Value>(given: Value | null | undefined, known: Value | undefined): Value | undefined {
  return given === undefined ? known : (given ?? undefined)
}
