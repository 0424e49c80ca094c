/**
 * The vault: which accounts and relay keys there are, and the accounts' bearer tokens.
 *
 * All of it is small and is asked on every post, so it is held in memory and written through: a change counts once it
 * is committed. Tokens are sealed in the store; opened ones never leave through `Account`, only through `tokenOf`.
 */
import { randomUUID, timingSafeEqual } from 'node:crypto'
import { hashRelayKey, hashRelayKeyHex, makeRelayKey } from './relay-key.ts'
import type { Sealer } from './seal.ts'
import type { AccountRow, KeyRow, VaultStore } from './vault-store.ts'

/** What may be known of an account outside of the vault: all but its token. */
export type Account = Omit<AccountRow, 'sealedToken'>

/** What is absent stays as it is; null goes back to the default. */
export interface AccountChange {
  readonly adAccountId: string
  /** Required for an account that is not there yet. */
  readonly accessToken?: string | undefined
  readonly label?: string | null | undefined
  readonly country?: string | null | undefined
  readonly dobFormat?: 'DMY' | 'MDY' | null | undefined
  readonly postsPerMinute?: number | null | undefined
}

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
  /** Registers an account or replaces its token and settings; a pause stays. */
  putAccount(change: AccountChange): Promise<'added' | 'replaced' | 'token_missing'>
  setPaused(adAccountId: string, isPaused: boolean): Promise<boolean>
  deleteAccount(adAccountId: string): Promise<boolean>
  /** Answers the key itself, this once. */
  createKey(key: { label: string; adAccountIds: readonly string[] }): Promise<RelayKey & { relayKey: string }>
  keys(): readonly RelayKey[]
  deleteKey(keyId: string): Promise<boolean>
  /** Seals again every token that an older master key sealed; answers how many. */
  reseal(): Promise<number>
  /** Called after each committed change of an account. */
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
  readonly token: string
}

interface KeyEntry {
  readonly key: RelayKey
  readonly keyHash: Uint8Array
}

/** Opens every token once; rejects with CANNOT_OPEN if one cannot be opened by the master keys. */
export async function openVault({ vaultStore, sealer, now }: VaultOptions): Promise<Vault> {
  const accounts = new Map<string, AccountEntry>()
  const keysByHash = new Map<string, KeyEntry>()
  const listeners: ((adAccountId: string) => void)[] = []
  const bindingOf = (adAccountId: string) => ({ purpose: 'access_token', adAccountId })

  const entryOf = (row: AccountRow, token: string): AccountEntry => {
    const { sealedToken: _, ...account } = row
    return { row, account, token }
  }
  const seal = (adAccountId: string, token: string) =>
    sealer.seal(Buffer.from(token, 'utf8'), bindingOf(adAccountId))
  const open = (row: AccountRow) =>
    Buffer.from(sealer.open(row.sealedToken, bindingOf(row.adAccountId))).toString('utf8')

  for (const row of await vaultStore.accounts()) accounts.set(row.adAccountId, entryOf(row, open(row)))
  for (const row of await vaultStore.keys()) rememberKey(row)

  function rememberKey({ keyHash, ...key }: KeyRow): void {
    keysByHash.set(Buffer.from(keyHash).toString('hex'), { key, keyHash })
  }

  // Changes run one after the other: each reads the state that the one before it committed.
  let last: Promise<unknown> = Promise.resolve()
  function inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = last.then(change)
    last = result.catch(() => undefined)
    return result
  }

  async function commit(row: AccountRow, token: string): Promise<void> {
    await vaultStore.putAccount(row)
    accounts.set(row.adAccountId, entryOf(row, token))
  }

  const tellListeners = (adAccountId: string) => listeners.forEach((listener) => listener(adAccountId))

  return {
    authenticate(relayKey) {
      const keyHash = hashRelayKeyHex(relayKey)
      const entry = keysByHash.get(keyHash)
      // The look-up is by hash, so its timing tells nothing of a key; the comparison proper takes constant time.
      return entry && timingSafeEqual(entry.keyHash, Buffer.from(keyHash, 'hex')) ? entry.key : undefined
    },

    account: (adAccountId) => accounts.get(adAccountId)?.account,
    accounts: () => Array.from(accounts.values(), ({ account }) => account),
    tokenOf: (adAccountId) => accounts.get(adAccountId)?.token,

    putAccount: ({ adAccountId, accessToken, ...settings }) =>
      inTurn(async () => {
        const entry = accounts.get(adAccountId)
        const token = accessToken ?? entry?.token
        if (token === undefined) return 'token_missing'
        const known = entry?.row
        const isNewToken = accessToken !== undefined || known === undefined
        const row: AccountRow = {
          adAccountId,
          label: choose(settings.label, known?.label) ?? '',
          country: choose(settings.country, known?.country),
          dobFormat: choose(settings.dobFormat, known?.dobFormat),
          postsPerMinute: choose(settings.postsPerMinute, known?.postsPerMinute),
          isPaused: known?.isPaused ?? false,
          sealedToken: isNewToken ? seal(adAccountId, token) : known.sealedToken,
          tokenLast4: token.slice(-4),
          tokenSetAtMs: isNewToken ? now() : known.tokenSetAtMs,
          createdAtMs: known?.createdAtMs ?? now(),
        }
        await commit(row, token)
        tellListeners(adAccountId)
        return known ? 'replaced' : 'added'
      }),

    setPaused: (adAccountId, isPaused) =>
      inTurn(async () => {
        const known = accounts.get(adAccountId)
        if (!known) return false
        await commit({ ...known.row, isPaused }, known.token)
        tellListeners(adAccountId)
        return true
      }),

    deleteAccount: (adAccountId) =>
      inTurn(async () => {
        if (!accounts.has(adAccountId)) return false
        await vaultStore.deleteAccount(adAccountId)
        accounts.delete(adAccountId)
        tellListeners(adAccountId)
        return true
      }),

    createKey: ({ label, adAccountIds }) =>
      inTurn(async () => {
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
      inTurn(async () => {
        const found = [...keysByHash].find(([, { key }]) => key.keyId === keyId)
        if (!found) return false
        await vaultStore.deleteKey(keyId)
        keysByHash.delete(found[0])
        return true
      }),

    reseal: () =>
      inTurn(async () => {
        const stale = [...accounts.values()].filter(({ row }) => !sealer.isCurrent(row.sealedToken))
        for (const { row, token } of stale) {
          await commit({ ...row, sealedToken: seal(row.adAccountId, token) }, token)
        }
        return stale.length
      }),

    onAccountChange: (listener) => void listeners.push(listener),
  }
}

function choose<Value>(given: Value | null | undefined, known: Value | undefined): Value | undefined {
  return given === undefined ? known : (given ?? undefined)
}
