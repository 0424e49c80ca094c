/**
 * Who may post to which account. A key without the account and an account without a token get the same answer,
 * so that nobody can find out which accounts exist.
 */
import type { FastifyRequest } from 'fastify'
import { Forbidden, InvalidRequest, Unauthorized } from '../errors.ts'
import type { Vault } from '../vault/vault.ts'

export type Sender = ReturnType<typeof authenticate>

/** Pinterest's own form of an ad account id. */
const AD_ACCOUNT_ID = /^\d{1,18}$/

/** Throws UNAUTHORIZED, FORBIDDEN or, for a path that names no account, INVALID_REQUEST. */
export function authenticate(vault: Vault, request: FastifyRequest, adAccountId: string) {
  const relayKey = bearerOf(request.headers.authorization)
  const key = relayKey === undefined ? undefined : vault.authenticate(relayKey)
  if (!key) throw new Unauthorized()
  if (!AD_ACCOUNT_ID.test(adAccountId)) throw new InvalidRequest('ad_account_id: must be 1 to 18 digits.')
  const account = vault.account(adAccountId)
  const mayPost =
    account !== undefined && account.tokenKind !== 'none' && key.adAccountIds.includes(adAccountId)
  if (!mayPost) throw new Forbidden()
  return { key, account }
}

export function bearerOf(authorization: string | undefined): string | undefined {
  return /^bearer +(\S{1,512})$/i.exec(authorization ?? '')?.[1]
}
