/** One refresh of one grant: claimed, asked, and written down, in the order that refresher.ts explains. */
import type { Clock } from '../clock.ts'
import { codeOf, type Log } from '../telemetry/log.ts'
import type { OauthFailure, PinterestOauth } from '../pinterest/oauth.ts'
import { scrubFailure, toIssuedPair } from './granted.ts'
import type { Plan, Plans } from './refresh-plan.ts'
import type { Grant, GrantNote, IssuedPair, Vault } from './vault.ts'

export type RefreshResult =
  | { readonly kind: 'renewed' }
  /** Scrubbed. */
  | OauthFailure
  /** The vault cannot be written: nothing was asked. */
  | { readonly kind: 'unwritable' }
  | { readonly kind: 'gone' }

export type Refresh = (grantId: string, clientSecret?: string) => Promise<RefreshResult>

export interface RefreshOptions {
  readonly vault: Vault
  readonly oauth: Pick<PinterestOauth, 'refresh'>
  readonly clock: Clock
  readonly log: Log
  readonly onRefresh: (outcome: 'renewed' | 'failed' | 'refused') => void
  readonly plans: Plans
  readonly isStopped: () => boolean
}

const COMMIT_AGAIN_MS = 1000

/** What it makes never rejects. */
export function createRefresh(options: RefreshOptions): Refresh {
  const { vault, oauth, clock, log, onRefresh, plans, isStopped } = options

  async function askClaimed(grantId: string, clientSecret: string | undefined): Promise<RefreshResult> {
    const grant = vault.grant(grantId)
    const pair = vault.pairOf(grantId)
    const client = grant && vault.clientOf(grant.clientId)
    const plan = plans.of(grantId)
    if (!grant || !pair || !client || !plan) return { kind: 'gone' }
    const asking = clientSecret === undefined ? client : { ...client, clientSecret }
    if (!(await note(grantId, { askedAtMs: clock.wallMs() }))) {
      plans.failed(plan)
      return { kind: 'unwritable' }
    }
    const answer = await oauth.refresh(asking, pair.refreshToken, grant.scope)
    if (answer.kind === 'granted') {
      const renewed = toIssuedPair(answer.value, pair.refreshToken, clock.wallMs())
      if (!(await commit(grantId, renewed, clientSecret))) return { kind: 'unwritable' }
      plans.renewed(grantId)
      report(grantId, 'renewed', 'access token renewed')
      return { kind: 'renewed' }
    }
    const failure = scrubFailure(answer, [pair.accessToken, pair.refreshToken, asking.clientSecret])
    // A secret that was only tried says nothing of the grant.
    if (clientSecret !== undefined && failure.kind === 'refused') {
      await note(grantId, { askedAtMs: grant.askedAtMs })
    } else await noteFailure(grant, plan, failure)
    return failure
  }

  async function noteFailure(grant: Grant, plan: Plan, failure: OauthFailure): Promise<void> {
    const { grantId } = grant
    const nowMs = clock.wallMs()
    const wasAsked = grant.askedAtMs !== undefined
    if (failure.kind === 'failed') {
      const askedAtMs = wasAsked || failure.isAnswerLost ? nowMs : undefined
      await note(grantId, { askedAtMs, failure: { atMs: nowMs, reason: failure.reason } })
      plans.failed(plan)
      report(grantId, 'failed', 'access token not renewed, it is tried again')
      return
    }
    const reason = reasonOf(failure, wasAsked)
    const refusedAtMs = grant.refusedAtMs ?? nowMs
    await note(grantId, { askedAtMs: undefined, refusedAtMs, failure: { atMs: nowMs, reason } })
    plans.refused(plan)
    report(grantId, 'refused', 'grant refused, somebody has to authorize again')
  }

  async function note(grantId: string, change: GrantNote): Promise<boolean> {
    try {
      await vault.noteGrant(grantId, change)
      return true
    } catch (error) {
      log.error({ code: codeOf(error) }, 'vault cannot be written')
      return false
    }
  }

  /** The old refresh token is gone: this pair exists nowhere else. */
  async function commit(grantId: string, pair: IssuedPair, clientSecret?: string): Promise<boolean> {
    for (;;) {
      try {
        await vault.renewGrant(grantId, pair, clientSecret)
        return true
      } catch (error) {
        log.error({ code: codeOf(error) }, 'vault cannot be written')
        if (isStopped()) return false
        await new Promise<void>((resolve) => void clock.after(COMMIT_AGAIN_MS, resolve))
      }
    }
  }

  function report(grantId: string, outcome: 'renewed' | 'failed' | 'refused', phrase: string): void {
    onRefresh(outcome)
    const level = { renewed: 'info', failed: 'warn', refused: 'error' } as const
    const reason = outcome === 'refused' ? 'reauthorize' : undefined
    for (const adAccountId of vault.accountsOn(grantId)) {
      log[level[outcome]]({ ad_account_id: adAccountId, reason }, phrase)
    }
  }

  return async function refresh(grantId, clientSecret) {
    const plan = plans.of(grantId)
    if (plan === undefined) return { kind: 'gone' }
    try {
      if (!(await vault.claimRefresh(grantId))) {
        plans.claimedElsewhere(plan)
        return { kind: 'failed', reason: 'refreshed_elsewhere', isAnswerLost: false }
      }
    } catch (error) {
      log.error({ code: codeOf(error) }, 'vault cannot be written')
      plans.failed(plan)
      return { kind: 'unwritable' }
    }
    try {
      // Another replica was here first: its pair has a plan of its own.
      const next = plans.of(grantId)
      const isRenewed = next !== undefined && next !== plan
      return isRenewed && clientSecret === undefined
        ? { kind: 'renewed' }
        : await askClaimed(grantId, clientSecret)
    } finally {
      // A claim that cannot be given back ends with this process.
      await vault.endRefresh(grantId).catch(() => undefined)
    }
  }
}

function reasonOf(failure: Extract<OauthFailure, { kind: 'refused' }>, wasAnswerLost: boolean): string {
  const said = `${failure.status} ${failure.message || 'without a word'}`
  return wasAnswerLost ? `${said} (the answer to an earlier refresh was lost)` : said
}
