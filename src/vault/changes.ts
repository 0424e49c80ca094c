/** What a change makes of the vault's records: pure but for new ids. */
import { createHash, randomUUID } from 'node:crypto'
import { NoGrant } from '../errors.ts'
import type {
  Account,
  AccountRecord,
  Change,
  Entry,
  GrantRecord,
  IssuedPair,
  OauthClient,
  VaultState,
} from './records.ts'

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
  readonly bots?: 'send' | 'filter' | null | undefined
  readonly eventNames?: Readonly<Record<string, string>> | null | undefined
  readonly postsPerMinute?: number | null | undefined
}

/** Throws NO_GRANT for a grant that is gone. `nowMs`: since the epoch. */
export function changeAccount(
  state: VaultState,
  { adAccountId, token, ...settings }: AccountChange,
  nowMs: number,
): Change {
  const before = state.account.get(adAccountId) ?? newAccount(adAccountId, nowMs)
  const [record, others] = changeToken(state, before, token, nowMs)
  const { label, country, dobFormat, bots, eventNames, postsPerMinute } = before.account
  const account: Account = {
    ...record.account,
    label: choose(settings.label, label) ?? '',
    country: choose(settings.country, country),
    dobFormat: choose(settings.dobFormat, dobFormat),
    bots: choose(settings.bots, bots) ?? 'send',
    eventNames: choose(settings.eventNames, eventNames) ?? {},
    postsPerMinute: choose(settings.postsPerMinute, postsPerMinute),
  }
  return [['account', adAccountId, { ...record, account }], ...others]
}

function newAccount(adAccountId: string, nowMs: number): AccountRecord {
  const account: Account = {
    adAccountId,
    label: '',
    country: undefined,
    dobFormat: undefined,
    bots: 'send',
    eventNames: {},
    postsPerMinute: undefined,
    isPaused: false,
    tokenKind: 'none',
    tokenLast4: '',
    tokenSetAtMs: 0,
    clientId: undefined,
    grantId: undefined,
    createdAtMs: nowMs,
  }
  return { account, token: undefined }
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
        tokenLast4: accessToken.slice(-4),
        tokenSetAtMs: nowMs,
        // A minted token comes from the grant, which goes on serving for another one; a given one replaces it.
        grantId: kind === 'conversion' ? before.account.grantId : undefined,
      }
      return [{ account, token: accessToken }, []]
    }
    case 'grant': {
      const record = grants.get(change.grantId)
      // Its last account was deleted while somebody asked to share it.
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

/** The grant's app asks the next time too. */
function useGrant({ account }: AccountRecord, { grant: { grantId, clientId } }: GrantRecord): AccountRecord {
  return { account: { ...account, tokenKind: 'oauth', tokenLast4: '', clientId, grantId }, token: undefined }
}

/** Gives a new grant to these accounts; those that are gone meanwhile are left out. */
export function giveGrant(state: VaultState, grant: NewGrant, adAccountIds: readonly string[]): Change {
  const [record, entries] = newGrant(grant)
  const { clientId, grantId } = record.grant
  const accounts = adAccountIds.flatMap((adAccountId): Entry[] => {
    const before = state.account.get(adAccountId)
    if (before === undefined) return []
    // A minted token goes on: the grant is only its way back.
    const isMinted = before.account.tokenKind === 'conversion'
    const after = isMinted
      ? { ...before, account: { ...before.account, clientId, grantId } }
      : useGrant(before, record)
    return [['account', adAccountId, after]]
  })
  return accounts.length === 0 ? [] : [...entries, ...accounts]
}

function newGrant({ client, pair, givenRefreshToken }: NewGrant): readonly [GrantRecord, Change] {
  const givenDigest = givenRefreshToken === undefined ? undefined : digestOf(givenRefreshToken)
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
  {
    grantId,
    clientId,
    givenDigest,
  }: Pick<GrantRecord, 'givenDigest'> & { grantId: string; clientId: string },
  { accessToken, refreshToken, scope, issuedAtMs, expiresAtMs, refreshExpiresAtMs }: IssuedPair,
): GrantRecord {
  const grant = {
    grantId,
    clientId,
    accessTokenLast4: accessToken.slice(-4),
    scope,
    issuedAtMs,
    expiresAtMs,
    refreshExpiresAtMs,
    askedAtMs: undefined,
    refusedAtMs: undefined,
    failure: undefined,
  }
  return { grant, pair: { accessToken, refreshToken }, givenDigest }
}

function putClient(client: OauthClient): Entry {
  return ['client', client.clientId, client]
}

/**
 * Removes what nobody needs any more: grants that no account names, apps that neither accounts nor grants name, and
 * scores of accounts that are gone.
 */
export function findOrphans({ account, grant, client, quality }: VaultState): Change {
  const accounts = Array.from(account.values(), (record) => record.account)
  const grantIds = new Set(accounts.map(({ grantId }) => grantId))
  const used = Array.from(grant.values(), (record) => record.grant).filter(({ grantId }) =>
    grantIds.has(grantId),
  )
  const clientIds = new Set([...accounts, ...used].map(({ clientId }) => clientId))
  const without = (
    kind: 'grant' | 'client' | 'quality',
    ids: Iterable<string>,
    isNeeded: (id: string) => boolean,
  ) =>
    Array.from(ids)
      .filter((id) => !isNeeded(id))
      .map((id): Entry => [kind, id, undefined])
  return [
    ...without('grant', grant.keys(), (id) => grantIds.has(id)),
    ...without('client', client.keys(), (id) => clientIds.has(id)),
    ...without('quality', quality.keys(), (id) => account.has(id)),
  ]
}

/** Of a token that nobody can guess: a plain hash is enough. */
export function digestOf(refreshToken: string): string {
  return createHash('sha256').update(refreshToken).digest('hex')
}

function choose<Value>(given: Value | null | undefined, known: Value | undefined): Value | undefined {
  return given === undefined ? known : (given ?? undefined)
}
