/** How a change becomes rows: sealed, and complete. */
import { createHash, randomUUID } from 'node:crypto'
import type { Secrets } from './secrets.ts'
import type { AccountRow, GrantRow, OauthClientRow, VaultChange } from './vault-store.ts'
import type { IssuedPair, NewGrant, OauthClient, TokenChange } from './vault.ts'

/** The part of an account's row that says where its token comes from. */
export type TokenColumns = Pick<
  AccountRow,
  'tokenKind' | 'sealedToken' | 'tokenLast4' | 'tokenSetAtMs' | 'clientId' | 'grantId'
>

export interface Rows {
  client(client: OauthClient): OauthClientRow
  grant(grantId: string, clientId: string, pair: IssuedPair, givenDigest: string | undefined): GrantRow
  newGrant(grant: NewGrant): GrantRow
  /** What an account's token becomes, and the rows that have to go with it. */
  changeToken(
    adAccountId: string,
    known: AccountRow | undefined,
    change: TokenChange | undefined,
    findGrant: (grantId: string) => GrantRow,
  ): { readonly token: TokenColumns; readonly with?: VaultChange }
}

const NO_TOKEN: TokenColumns = {
  tokenKind: 'none',
  sealedToken: undefined,
  tokenLast4: '',
  tokenSetAtMs: 0,
  clientId: undefined,
  grantId: undefined,
}

/** `now`: milliseconds since the epoch. */
export function createRows(secrets: Secrets, now: () => number): Rows {
  function toClientRow({ clientId, clientSecret }: OauthClient): OauthClientRow {
    return { clientId, sealedSecret: secrets.sealClientSecret(clientId, clientSecret) }
  }

  function toGrantRow(
    grantId: string,
    clientId: string,
    pair: IssuedPair,
    givenDigest: string | undefined,
  ): GrantRow {
    const { accessToken, scope, issuedAtMs, expiresAtMs, refreshExpiresAtMs } = pair
    return {
      grantId,
      clientId,
      sealedPair: secrets.sealPair(grantId, pair),
      accessTokenLast4: accessToken.slice(-4),
      scope,
      issuedAtMs,
      expiresAtMs,
      refreshExpiresAtMs,
      givenDigest,
      askedAtMs: undefined,
      refusedAtMs: undefined,
      failure: undefined,
    }
  }

  function makeGrant({ client, pair, givenRefreshToken }: NewGrant): GrantRow {
    const digest = givenRefreshToken === undefined ? undefined : digestOf(givenRefreshToken)
    return toGrantRow(randomUUID(), client.clientId, pair, digest)
  }

  function changeToken(
    adAccountId: string,
    known: AccountRow | undefined,
    change: TokenChange | undefined,
    findGrant: (grantId: string) => GrantRow,
  ): { token: TokenColumns; with?: VaultChange } {
    const before: TokenColumns = known ?? NO_TOKEN
    if (change === undefined) return { token: before }
    switch (change.kind) {
      case 'given':
      case 'conversion': {
        const { kind, accessToken } = change
        const token: TokenColumns = {
          tokenKind: kind,
          sealedToken: secrets.sealToken(adAccountId, accessToken),
          tokenLast4: accessToken.slice(-4),
          tokenSetAtMs: now(),
          clientId: before.clientId,
          // A minted token comes from the grant, which goes on serving for another one; a given one replaces it.
          grantId: kind === 'conversion' ? before.grantId : undefined,
        }
        return { token }
      }
      case 'grant': {
        const row = findGrant(change.grantId)
        return { token: usingGrant(row, before) }
      }
      case 'new_grant': {
        const row = makeGrant(change.grant)
        return {
          token: usingGrant(row, before),
          with: { grants: [row], clients: [toClientRow(change.grant.client)] },
        }
      }
      case 'client':
        return {
          token: { ...before, clientId: change.client.clientId },
          with: { clients: [toClientRow(change.client)] },
        }
    }
  }

  return { client: toClientRow, grant: toGrantRow, newGrant: makeGrant, changeToken }
}

export function columnsOf(token: TokenColumns): TokenColumns {
  const { tokenKind, sealedToken, tokenLast4, tokenSetAtMs, clientId, grantId } = token
  return { tokenKind, sealedToken, tokenLast4, tokenSetAtMs, clientId, grantId }
}

/** A minted token goes on: the grant is only its way back. */
export function givenGrant(grant: GrantRow, account: AccountRow): TokenColumns {
  if (account.tokenKind !== 'conversion') return usingGrant(grant, account)
  return { ...columnsOf(account), clientId: grant.clientId, grantId: grant.grantId }
}

/** The grant's app asks the next time too. */
function usingGrant({ grantId, clientId }: GrantRow, before: TokenColumns): TokenColumns {
  return { ...NO_TOKEN, tokenSetAtMs: before.tokenSetAtMs, tokenKind: 'oauth', clientId, grantId }
}

/** Of a token that nobody can guess: a plain hash is enough. */
export function digestOf(refreshToken: string): string {
  return createHash('sha256').update(refreshToken).digest('hex')
}
