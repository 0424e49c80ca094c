/** How the vault's secrets are sealed, each bound to what it belongs to. */
import type { Sealer } from './seal.ts'
import type { AccountRow, GrantRow, OauthClientRow } from './vault-store.ts'

/** A grant's two tokens. Never log, answer or store them open. */
export interface TokenPair {
  readonly accessToken: string
  readonly refreshToken: string
}

export interface Secrets {
  sealToken(adAccountId: string, token: string): Uint8Array
  sealPair(grantId: string, pair: TokenPair): Uint8Array
  sealClientSecret(clientId: string, secret: string): Uint8Array
  /** Each throws CANNOT_OPEN when no master key opens it. */
  openToken(row: AccountRow): string | undefined
  openPair(row: GrantRow): TokenPair
  openClientSecret(row: OauthClientRow): string
  isCurrent(sealed: Uint8Array): boolean
}

export function createSecrets(sealer: Sealer): Secrets {
  const seal = (purpose: string, owner: string, text: string) =>
    sealer.seal(Buffer.from(text, 'utf8'), { purpose, owner })
  const open = (purpose: string, owner: string, sealed: Uint8Array) =>
    Buffer.from(sealer.open(sealed, { purpose, owner })).toString('utf8')

  return {
    sealToken: (adAccountId, token) => seal('access_token', adAccountId, token),
    sealPair: (grantId, { accessToken, refreshToken }) =>
      seal('token_pair', grantId, JSON.stringify({ accessToken, refreshToken })),
    sealClientSecret: (clientId, secret) => seal('client_secret', clientId, secret),
    openToken: ({ adAccountId, sealedToken }) =>
      sealedToken === undefined ? undefined : open('access_token', adAccountId, sealedToken),
    openPair: ({ grantId, sealedPair }) => JSON.parse(open('token_pair', grantId, sealedPair)) as TokenPair,
    openClientSecret: ({ clientId, sealedSecret }) => open('client_secret', clientId, sealedSecret),
    isCurrent: (sealed) => sealer.isCurrent(sealed),
  }
}
