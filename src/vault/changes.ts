/** What a change makes of the vault's records: pure but for new ids. */
import { randomUUID } from 'node:crypto'
import { sha256Hex } from '../events/hash.ts'
import { NoGrant } from '../errors.ts'
import type { ClientCredentials, IssuedPair } from '../pinterest/oauth.ts'
import {
  changeSettings,
  type Account,
  type AccountRecord,
  type AccountSettings,
  type Change,
  type Entry,
  type Given,
  type GrantRecord,
  type VaultState,
} from './records.ts'

export interface NewGrant {
  readonly client: ClientCredentials
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
  | { readonly kind: 'client'; readonly client: ClientCredentials }

export interface AccountChange extends Given<AccountSettings> {
  readonly adAccountId: string
  /** Required for an account that is not there yet. */
  readonly token?: TokenChange | undefined
}

const STANDARD: AccountSettings = {
  label: '',
  country: undefined,
  dobFormat: undefined,
  bots: 'send',
  eventNames: {},
  postsPerMinute: undefined,
}

const NO_TOKEN = {
  isPaused: false,
  tokenKind: 'none',
  tokenSetAtMs: 0,
  clientId: undefined,
  grantId: undefined,
} as const

/** Throws NO_GRANT for a grant that is gone. `nowMs`: since the epoch. */
export function changeAccount(
  state: VaultState,
  { adAccountId, token, ...given }: AccountChange,
  nowMs: number,
): Change {
  const before: AccountRecord = state.account.get(adAccountId) ?? {
    account: { adAccountId, ...STANDARD, ...NO_TOKEN, createdAtMs: nowMs },
    token: undefined,
  }
  const [record, others] = changeToken(state, before, token, nowMs)
  const account = { ...record.account, ...changeSettings(before.account, given, STANDARD) }
  return [['account', adAccountId, { ...record, account }], ...others]
}

/** The account, and the records that have to go with it. */
function changeToken(
  { grant: grants }: VaultState,
  before: AccountRecord,
  change: TokenChange | undefined,
  nowMs: number,
): readonly [AccountRecord, Change] {
  switch (change?.kind) {
    case undefined:
      return [before, []]
    case 'given':
    case 'conversion': {
      const { kind, accessToken } = change
      const account: Account = {
        ...before.account,
        tokenKind: kind,
        tokenSetAtMs: nowMs,
        // A minted token comes from the grant, which stays for the next one; a given one replaces it.
        grantId: kind === 'conversion' ? before.account.grantId : undefined,
      }
      return [{ account, token: accessToken }, []]
    }
    case 'grant': {
      const record = grants.get(change.grantId)
      // Its last account was deleted after the request to share it.
      if (record === undefined) throw new NoGrant('The grant is gone.')
      return [useGrant(before, record), []]
    }
    case 'new_grant': {
      const [record, entries] = newGrant(change.grant)
      return [useGrant(before, record), entries]
    }
    case 'client':
      return [
        { ...before, account: { ...before.account, clientId: change.client.clientId } },
        [putClient(change.client)],
      ]
  }
}

/** From now on the account uses the grant's token, and the grant's app asks when consent is needed again. */
function useGrant({ account }: AccountRecord, { grant: { grantId, clientId } }: GrantRecord): AccountRecord {
  return { account: { ...account, tokenKind: 'oauth', clientId, grantId }, token: undefined }
}

/** Gives a new grant to these accounts; those that are gone meanwhile are left out. */
export function giveGrant(state: VaultState, grant: NewGrant, adAccountIds: readonly string[]): Change {
  const [record, entries] = newGrant(grant)
  const { clientId, grantId } = record.grant
  const accounts = adAccountIds.flatMap((adAccountId): Entry[] => {
    const before = state.account.get(adAccountId)
    if (before === undefined) return []
    // A minted token stays in use: the grant only makes the next one.
    const isMinted = before.account.tokenKind === 'conversion'
    const after = isMinted
      ? { ...before, account: { ...before.account, clientId, grantId } }
      : useGrant(before, record)
    return [['account', adAccountId, after]]
  })
  return accounts.length === 0 ? [] : [...entries, ...accounts]
}

function newGrant({ client, pair, givenRefreshToken }: NewGrant): readonly [GrantRecord, Change] {
  const givenDigest = givenRefreshToken === undefined ? undefined : sha256Hex(givenRefreshToken)
  const record = toGrant({ grantId: randomUUID(), clientId: client.clientId, givenDigest }, pair)
  return [record, [['grant', record.grant.grantId, record], putClient(client)]]
}

/** A grant's new pair, and its app's secret if one is given. */
export function renew({ grant, givenDigest }: GrantRecord, pair: IssuedPair, clientSecret?: string): Change {
  const { grantId, clientId } = grant
  const renewed = toGrant({ grantId, clientId, givenDigest }, pair)
  return [
    ['grant', grantId, renewed],
    ...(clientSecret === undefined ? [] : [putClient({ clientId, clientSecret })]),
  ]
}

function toGrant(
  known: Pick<GrantRecord, 'givenDigest'> & Pick<GrantRecord['grant'], 'grantId' | 'clientId'>,
  { accessToken, refreshToken, ...terms }: IssuedPair,
): GrantRecord {
  const { givenDigest, ...ids } = known
  const grant = { ...ids, ...terms, askedAtMs: undefined, failure: undefined }
  return { grant, pair: { accessToken, refreshToken }, givenDigest }
}

function putClient(client: ClientCredentials): Entry {
  return ['client', client.clientId, client]
}

/**
 * Removes what nobody needs any more: grants that no account names, apps that neither accounts nor grants name, and
 * scores of accounts that are gone.
 */
export function findOrphans(state: VaultState): Change {
  const accounts = Array.from(state.account.values(), ({ account }) => account)
  const grantIds = new Set(accounts.map(({ grantId }) => grantId))
  const grants = Array.from(state.grant.values(), ({ grant }) => grant)
  const used = grants.filter(({ grantId }) => grantIds.has(grantId))
  const clientIds = new Set([...accounts, ...used].map(({ clientId }) => clientId))
  const without = (kind: 'grant' | 'client' | 'quality', needed: { has(id: string): boolean }) =>
    [...state[kind].keys()].filter((id) => !needed.has(id)).map((id): Entry => [kind, id, undefined])
  return [
    ...without('grant', grantIds),
    ...without('client', clientIds),
    ...without('quality', state.account),
  ]
}
