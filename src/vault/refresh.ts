/** One refresh of one grant: claimed, asked, and written down, in the order that refresher.ts explains. */
import type { Clock } from '../clock.ts'
import { codeOf, type Log } from '../telemetry/log.ts'
import type { OauthFailure, PinterestOauth } from '../pinterest/oauth.ts'
import { scrubFailure, toIssuedPair } from './granted.ts'
import type { Plans } from './refresh-plan.ts'
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
      report(grantId, 'renewed')
      return { kind: 'renewed' }
    }
    const failure = scrubFailure(answer, [pair.accessToken, pair.refreshToken, asking.clientSecret])
    // A secret that was only tried says nothing of the grant.
    if (clientSecret !== undefined && failure.kind === 'refused') {
      await note(grantId, { askedAtMs: grant.askedAtMs })
      return failure
    }
    await note(grantId, failureNote(grant, failure, clock.wallMs()))
    plans[failure.kind](plan)
    report(grantId, failure.kind)
    return failure
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

  function report(grantId: string, outcome: keyof typeof REPORTS): void {
    onRefresh(outcome)
    const { level, reason, phrase } = REPORTS[outcome]
    for (const adAccountId of vault.accountsOn(grantId)) {
      log[level]({ ad_account_id: adAccountId, reason }, phrase)
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

const REPORTS = {
  renewed: { level: 'info', reason: undefined, phrase: 'access token renewed' },
  failed: { level: 'warn', reason: undefined, phrase: 'access token not renewed, it is tried again' },
  refused: {
    level: 'error',
    reason: 'reauthorize',
    phrase: 'grant refused, somebody has to authorize again',
  },
} as const

/** What the grant's record says after a failure. */
function failureNote(grant: Grant, failure: OauthFailure, nowMs: number): GrantNote {
  const wasAsked = grant.askedAtMs !== undefined
  if (failure.kind === 'failed') {
    const askedAtMs = wasAsked || failure.isAnswerLost ? nowMs : undefined
    return { askedAtMs, failure: { atMs: nowMs, reason: failure.reason } }
  }
  const said = `${failure.status} ${failure.message || 'without a word'}`
  const reason = wasAsked ? `${said} (the answer to an earlier refresh was lost)` : said
  return {
    askedAtMs: undefined,
    refusedAtMs: grant.refusedAtMs ?? nowMs,
    failure: { atMs: nowMs, reason },
  }
}
