/**
 * An account's records for the relays of another cell: its settings, its token or its grant, its sources, and who may post to it.
 * One sealed text, bound to the account: it opens where the same master key is known, and shows nothing.
 */
import { CannotOpen, InvalidRequest, NoGrant } from '../errors.ts'
import {
  applyChange,
  EMPTY_STATE,
  type Change,
  type Entry,
  type RelayKey,
  type VaultState,
} from './records.ts'
import type { Sealer } from './seal.ts'

/** Throws NO_GRANT where the grant cannot go along. Undefined: there is no such account. */
export function copyAccount(state: VaultState, adAccountId: string, sealer: Sealer): string | undefined {
  const record = state.account.get(adAccountId)
  if (record === undefined) return undefined
  const { account } = record
  const users = [...state.account.values()].filter((one) => one.account.grantId === account.grantId)
  // Two cells would use up each other's refresh token.
  const isShared = account.grantId !== undefined && users.length > 1
  if (isShared && account.tokenKind === 'oauth') throw new NoGrant(SHARED)
  const grant = isShared ? undefined : state.grant.get(account.grantId ?? '')
  if (grant?.grant.askedAtMs !== undefined) throw new NoGrant(BEING_REFRESHED)
  const clientId = grant?.grant.clientId ?? account.clientId ?? ''
  const client = state.client.get(clientId)
  const entries: Entry[] = [
    ['account', adAccountId, isShared ? { ...record, account: { ...account, grantId: undefined } } : record],
    ...(grant === undefined ? [] : [['grant', grant.grant.grantId, grant] as const]),
    ...(client === undefined ? [] : [['client', clientId, client] as const]),
    ...[...state.key]
      .filter(([, key]) => key.adAccountIds.includes(adAccountId))
      .map(([hash, key]): Entry => ['key', hash, { ...key, adAccountIds: [adAccountId] }]),
    ...[...state.source]
      .filter(([, { source }]) => source.adAccountId === adAccountId)
      .map(([id, source]): Entry => ['source', id, source]),
  ]
  const sealed = sealer.seal(Buffer.from(JSON.stringify(entries)), bind(adAccountId))
  return Buffer.from(sealed).toString('base64')
}

/** What a copy changes. The account is paused: the cell that it comes from may still be calling. Throws INVALID_REQUEST. */
export function adoptAccount(state: VaultState, adAccountId: string, copy: string, sealer: Sealer): Change {
  const copied = applyChange(EMPTY_STATE, openCopy(adAccountId, copy, sealer))
  const { account, token } = copied.account.get(adAccountId)!
  for (const id of copied.source.keys()) {
    const known = state.source.get(id)?.source.adAccountId ?? adAccountId
    if (known !== adAccountId) throw new InvalidRequest(`sealed: the source ${id} is another account's here.`)
  }
  const grants = [...copied.grant].filter(([id, { grant }]) => {
    const known = state.grant.get(id)
    // Both cells may have refreshed it: the newer pair is the one that works.
    return known === undefined || known.grant.issuedAtMs <= grant.issuedAtMs
  })
  // Whose grants would be refused with another secret.
  const others = [...state.account.values()].filter(({ account: one }) => one.adAccountId !== adAccountId)
  const used = new Set(others.map(({ account: { clientId } }) => clientId))
  const clients = [...copied.client].filter(([id]) => !used.has(id))
  return [
    ['account', adAccountId, { account: { ...account, isPaused: true }, token }],
    ...grants.map(([id, grant]): Entry => ['grant', id, grant]),
    ...clients.map(([id, client]): Entry => ['client', id, client]),
    ...[...copied.key].map(([hash, key]): Entry => ['key', hash, mergeKey(state.key.get(hash), key)]),
    ...[...copied.source].map(([id, source]): Entry => ['source', id, source]),
  ]
}

/** A key may be for accounts of several cells; each knows its part. */
function mergeKey(known: RelayKey | undefined, key: RelayKey): RelayKey {
  return { ...key, adAccountIds: [...new Set([...(known?.adAccountIds ?? []), ...key.adAccountIds])] }
}

function openCopy(adAccountId: string, copy: string, sealer: Sealer): Change {
  try {
    const plain = sealer.open(Buffer.from(copy, 'base64'), bind(adAccountId))
    return JSON.parse(Buffer.from(plain).toString('utf8')) as Change
  } catch (error) {
    throw error instanceof CannotOpen ? new InvalidRequest(UNKNOWN_KEY) : error
  }
}

function bind(adAccountId: string) {
  return { purpose: 'account_copy', owner: adAccountId }
}

const SHARED =
  "The account's grant serves other accounts, too: have a token minted for it first (POST /accounts/{id}/conversion-token)."
const BEING_REFRESHED = "The account's token is being refreshed: try again in a minute."
const UNKNOWN_KEY =
  'sealed: is no copy of this account, or no master key of this relay opens it: MASTER_KEY_PREVIOUS must be the MASTER_KEY of the relay that it comes from.'
