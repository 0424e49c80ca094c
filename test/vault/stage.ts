/** A vault over a store in memory, a clock that is set by hand, and a Pinterest whose answers the test gives. */
import { createLog } from '../../src/telemetry/log.ts'
import type { Granted, IssuedPair, PinterestOauth } from '../../src/pinterest/oauth.ts'
import { createRefresher } from '../../src/vault/refresher.ts'
import { createSealer } from '../../src/vault/seal.ts'
import type { VaultDocument, VaultStore } from '../../src/vault/vault-store.ts'
import { openVault, type Vault } from '../../src/vault/vault.ts'
import { createManualClock, runDue } from '../support/clock.ts'

export const DAY_MS = 24 * 3600_000
export const CLIENT = { clientId: 'app', clientSecret: 'client-secret-1' }

export interface AskedRefresh {
  readonly clientSecret: string
  readonly refreshToken: string
  readonly scope: string
  readonly askedAtMs: number
  answer(answer: Granted<IssuedPair>): Promise<void>
  /** The `n`th pair of this grant. */
  grant(n: number): Promise<void>
}

/** What a vault store keeps; `isBroken` makes every change fail, before it is made. */
export function createMemoryStore() {
  const documents = new Map<string, VaultDocument>()
  const state = { isBroken: false }
  const nameOf = ({ kind, id }: { readonly kind: string; readonly id: string }) => `${kind} ${id}`
  const vaultStore: VaultStore = {
    readVault: async () => [...documents.values()],
    async changeVault(decide) {
      const change = await decide(undefined)
      if (change.length === 0) return
      if (state.isBroken) throw Object.assign(new Error('no space'), { code: 'STORE_UNAVAILABLE' })
      for (const { body, ...key } of change) {
        if (body === undefined) documents.delete(nameOf(key))
        else documents.set(nameOf(key), { ...key, body })
      }
    },
    claim: () => Promise.resolve(true),
    unclaim: () => Promise.resolve(),
  }
  const idsOf = (wanted: string) =>
    [...documents.values()].filter(({ kind }) => kind === wanted).map(({ id }) => id)
  return { vaultStore, state, documents, idsOf }
}

export type MemoryStore = ReturnType<typeof createMemoryStore>
const masterKeys = { current: Buffer.alloc(32, 7) }

export function pair(n: number, nowMs: number): IssuedPair {
  return {
    accessToken: `pina_access_${n}`,
    refreshToken: `pinr_refresh_${n}`,
    scope: 'ads:write,ads:read',
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + 30 * DAY_MS,
    refreshExpiresAtMs: nowMs + 60 * DAY_MS,
  }
}

/** A relay's token side over a store: another one over the same store is the next process. */
export async function setStage(memory: MemoryStore = createMemoryStore(), clock = createManualClock()) {
  const vault = await openVault({
    vaultStore: memory.vaultStore,
    sealer: createSealer(masterKeys),
    now: clock.wallMs,
  })
  const asked: AskedRefresh[] = []
  const outcomes: string[] = []
  const logLines: string[] = []
  const trust = { isClockTrusted: true }
  const oauth: Pick<PinterestOauth, 'refresh'> = {
    refresh: ({ clientSecret }, refreshToken, scope) =>
      new Promise((resolve) => {
        const answer = (given: Granted<IssuedPair>) => {
          resolve(given)
          return runDue()
        }
        const grant = (n: number) => answer({ kind: 'granted', value: pair(n, clock.wallMs()) })
        asked.push({ clientSecret, refreshToken, scope, askedAtMs: clock.wallMs(), answer, grant })
      }),
  }
  const refresher = createRefresher({
    vault,
    oauth,
    clock,
    isClockTrusted: () => trust.isClockTrusted,
    log: createLog({ level: 'trace', destination: { write: (line) => void logLines.push(line) } }),
    onRefresh: (outcome) => void outcomes.push(outcome),
  })
  vault.onAccountChange(() => refresher.check())
  return { memory, clock, vault, refresher, oauth, asked, outcomes, logLines, trust }
}

/** Registers accounts on one grant, whose first pair it is; answers the grant's id. */
export async function addGrant(vault: Vault, clock: { wallMs(): number }, ids: readonly string[]) {
  const issued = pair(1, clock.wallMs())
  const [first_, ...others] = ids
  const grant = { client: CLIENT, pair: issued, givenRefreshToken: issued.refreshToken }
  await vault.putAccount({ adAccountId: first_!, token: { kind: 'new_grant', grant } })
  const { grantId } = vault.account(first_!)!
  for (const adAccountId of others) {
    await vault.putAccount({ adAccountId, token: { kind: 'grant', grantId: grantId! } })
  }
  return grantId!
}
