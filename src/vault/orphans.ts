/** What nobody needs any more after a change: grants that no account names, and apps that neither accounts nor grants name. */
import type { AccountRow, GrantRow, OauthClientRow, VaultChange } from './vault-store.ts'

export interface VaultState {
  readonly accounts: readonly AccountRow[]
  readonly grants: readonly GrantRow[]
  readonly clients: readonly OauthClientRow[]
}

export function findOrphans(
  { accounts, grants, clients }: VaultState,
  change: VaultChange,
): Pick<VaultChange, 'deletedGrants' | 'deletedClients'> {
  const changed = new Map(change.accounts?.map((row) => [row.adAccountId, row]))
  const gone = new Set(change.deletedAccounts)
  const left = accounts
    .filter(({ adAccountId }) => !changed.has(adAccountId) && !gone.has(adAccountId))
    .concat(...changed.values())
  const grantIds = new Set(left.map(({ grantId }) => grantId))
  const clientIds = new Set([
    ...left.map(({ clientId }) => clientId),
    ...[...grants, ...(change.grants ?? [])]
      .filter(({ grantId }) => grantIds.has(grantId))
      .map(({ clientId }) => clientId),
  ])
  return {
    deletedGrants: grants.map(({ grantId }) => grantId).filter((grantId) => !grantIds.has(grantId)),
    deletedClients: clients.map(({ clientId }) => clientId).filter((clientId) => !clientIds.has(clientId)),
  }
}
