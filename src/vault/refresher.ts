/**
 * Keeps grants alive: it alone refreshes them, each by one refresh at a time, however many accounts and queues ask.
 *
 *            4/5 of its life, a 401, an operator
 *   valid ───────────────────────────────────────> asked ──granted──> written ──> valid
 *     ▲                                            │   │
 *     └──────── fails: again after a pause ────────┘   └──refused──> refused ──(every hour)──> asked
 *
 * A refresh token is used up by its use, so nothing may be lost around it:
 *   - `asked` is committed before the question leaves. Where the vault cannot be written, nothing is asked.
 *   - The new pair is committed before it is used, and is tried to be committed until it is.
 *   - A process that dies before the question: the old pair is good. Between question and commit: the refresh token may
 *     be used up. The next process asks at once, which acknowledges it: granted, or refused while the access token is still
 *     good for a fifth of its life. After the commit: the new pair is good.
 *
 * With several replicas only the one that claims a grant asks, from before `asked` until what came of it is written: two
 * that use the same refresh token would lose the grant. The others look again a little later, and find it renewed.
 *
 * Failing or refused, the access token goes on being used until Pinterest refuses that as well: a queue is held only then.
 */
import { orAfter, type Clock } from '../clock.ts'
import { createScrub } from '../delivery/scrub.ts'
import { codeOf, type Log } from '../telemetry/log.ts'
import type { OauthFailure, PinterestOauth } from '../pinterest/oauth.ts'
import type { IssuedPair, Vault } from './vault.ts'
import { toIssuedPair } from './issued-pair.ts'
import { afterFailureMs, afterRefusalMs, firstDueAtMs } from './refresh-plan.ts'

export type RefreshResult =
  | { readonly kind: 'renewed' }
  /** Scrubbed. */
  | OauthFailure
  /** The vault cannot be written: nothing was asked. */
  | { readonly kind: 'unwritable' }
  | { readonly kind: 'gone' }

export interface Refresher {
  /** Refreshes what is due, now and from now on; to be called again whenever there may be new grants. */
  look(): void
  /** Joins a refresh that is under way. `clientSecret`: to be tried, and kept if it works. */
  refresh(grantId: string, clientSecret?: string): Promise<RefreshResult>
  /** Pinterest refused this grant's access token. Asks anew, unless that was just done or is due anyhow. */
  accessRefused(grantId: string): void
  isRefreshing(grantId: string): boolean
  /** Milliseconds since the epoch; undefined for an unknown grant. */
  nextRefreshAtMs(grantId: string): number | undefined
  /** No refresh begins from now on; resolves when those under way have ended, or after `patienceMs`. */
  stop(patienceMs: number): Promise<void>
}

export interface RefresherOptions {
  readonly vault: Vault
  readonly oauth: Pick<PinterestOauth, 'refresh'>
  readonly clock: Clock
  readonly random: () => number
  /** Whether the wall clock can be believed: see clock-watch.ts. */
  readonly isClockTrusted: () => boolean
  readonly log: Log
  readonly onRefresh: (outcome: 'renewed' | 'failed' | 'refused') => void
}

/** Pinterest may refuse a token that it gave a moment ago; more tokens do not help then. */
const REFUSED_AGAIN_MS = 5 * 60_000
/** The wall clock may be set: it is looked at again at least so often. */
const LONGEST_SLEEP_MS = 15 * 60_000
const COMMIT_AGAIN_MS = 1000
/** Another replica refreshes: by then it is done, or has at least asked. */
const CLAIMED_AGAIN_MS = 3000

interface Plan {
  /** Of the pair that it is for: another replica may bring a new one. */
  issuedAtMs: number
  /** By the pair's life; -Infinity once it has failed or was refused. */
  dueAtMs: number
  /** Monotonic; before it nothing that is due is asked for. */
  pausedUntilMs: number
  failures: number
  /** Monotonic; a 401 before it starts no refresh. */
  notBeforeMs: number
}

export function createRefresher(options: RefresherOptions): Refresher {
  const { vault, oauth, clock, random, isClockTrusted, log, onRefresh } = options
  const plans = new Map<string, Plan>()
  const running = new Map<string, Promise<RefreshResult>>()
  let cancelSleep = () => {}
  let isStopped = false

  function planOf(grantId: string): Plan | undefined {
    const grant = vault.grant(grantId)
    if (grant === undefined) {
      plans.delete(grantId)
      return undefined
    }
    let plan = plans.get(grantId)
    if (plan?.issuedAtMs !== grant.issuedAtMs) {
      plan = {
        issuedAtMs: grant.issuedAtMs,
        dueAtMs: firstDueAtMs(grant, random()),
        pausedUntilMs:
          grant.refusedAtMs === undefined ? -Infinity : afterRefusalMs(clock.monotonicMs(), random()),
        failures: 0,
        notBeforeMs: -Infinity,
      }
      plans.set(grantId, plan)
    }
    return plan
  }

  function pause(plan: Plan, untilMs: number): void {
    plan.dueAtMs = -Infinity
    plan.pausedUntilMs = untilMs
  }

  function msUntilDue({ dueAtMs, pausedUntilMs }: Plan): number {
    return Math.max(0, dueAtMs - clock.wallMs(), pausedUntilMs - clock.monotonicMs())
  }

  /** A clock that was just set may call any token old: it has days left when its time has come. */
  function mayAsk({ dueAtMs }: Plan): boolean {
    return dueAtMs === -Infinity || isClockTrusted()
  }

  function look(): void {
    if (isStopped) return
    for (const grantId of plans.keys()) planOf(grantId)
    let wakeInMs = LONGEST_SLEEP_MS
    for (const { grantId } of vault.grants()) {
      const plan = planOf(grantId)!
      const inMs = msUntilDue(plan)
      if (running.has(grantId)) continue
      if (inMs > 0) wakeInMs = Math.min(wakeInMs, inMs)
      else if (mayAsk(plan)) void refresh(grantId)
    }
    cancelSleep()
    cancelSleep = clock.after(wakeInMs, look)
  }

  function refresh(grantId: string, clientSecret?: string): Promise<RefreshResult> {
    const current = running.get(grantId)
    if (current !== undefined) {
      // With another secret it is another question, to be asked when this one is answered.
      return clientSecret === undefined ? current : current.then(() => refresh(grantId, clientSecret))
    }
    if (isStopped) return Promise.resolve({ kind: 'failed', reason: 'shutting_down', isAnswerLost: false })
    const asked = ask(grantId, clientSecret).finally(() => {
      running.delete(grantId)
      look()
    })
    running.set(grantId, asked)
    return asked
  }

  /** Never rejects. */
  async function ask(grantId: string, clientSecret: string | undefined): Promise<RefreshResult> {
    const plan = planOf(grantId)
    if (plan === undefined) return { kind: 'gone' }
    let isClaimed: boolean
    try {
      isClaimed = await vault.claimRefresh(grantId)
    } catch (error) {
      log.error({ code: codeOf(error) }, 'vault cannot be written')
      plan.failures += 1
      pause(plan, afterFailureMs(clock.monotonicMs(), plan.failures, random()))
      return { kind: 'unwritable' }
    }
    if (!isClaimed) {
      pause(plan, clock.monotonicMs() + CLAIMED_AGAIN_MS)
      return { kind: 'failed', reason: 'refreshed_elsewhere', isAnswerLost: false }
    }
    try {
      // Another replica was here first: its pair has a plan of its own.
      const isRenewed = planOf(grantId) !== plan && vault.grant(grantId) !== undefined
      return isRenewed && clientSecret === undefined
        ? { kind: 'renewed' }
        : await askClaimed(grantId, clientSecret)
    } finally {
      // A claim that cannot be given back ends with this process.
      await vault.endRefresh(grantId).catch(() => undefined)
    }
  }

  async function askClaimed(grantId: string, clientSecret: string | undefined): Promise<RefreshResult> {
    const grant = vault.grant(grantId)
    const pair = vault.pairOf(grantId)
    const client = grant && vault.clientOf(grant.clientId)
    const plan = planOf(grantId)
    if (!grant || !pair || !client || !plan) return { kind: 'gone' }
    const asking = clientSecret === undefined ? client : { ...client, clientSecret }
    const wasAsked = grant.askedAtMs !== undefined

    if (!(await note(grantId, { askedAtMs: clock.wallMs() }))) {
      plan.failures += 1
      pause(plan, afterFailureMs(clock.monotonicMs(), plan.failures, random()))
      return { kind: 'unwritable' }
    }
    const answer = await oauth.refresh(asking, pair.refreshToken, grant.scope)
    const nowMs = clock.wallMs()
    if (answer.kind === 'granted') {
      const renewed = toIssuedPair(answer.value, pair.refreshToken, nowMs)
      if (!(await commit(grantId, renewed, clientSecret))) return { kind: 'unwritable' }
      const next = { ...renewed, refusedAtMs: undefined, askedAtMs: undefined }
      plans.set(grantId, {
        issuedAtMs: renewed.issuedAtMs,
        dueAtMs: firstDueAtMs(next, random()),
        pausedUntilMs: -Infinity,
        failures: 0,
        notBeforeMs: clock.monotonicMs() + REFUSED_AGAIN_MS,
      })
      report(grantId, 'renewed', 'access token renewed')
      return { kind: 'renewed' }
    }
    const failure = scrubbed(answer, [pair.accessToken, pair.refreshToken, asking.clientSecret])
    // A secret that was only tried says nothing of the grant.
    if (clientSecret !== undefined && failure.kind === 'refused') {
      await note(grantId, { askedAtMs: wasAsked ? grant.askedAtMs : undefined })
      return failure
    }
    plan.failures += 1
    if (failure.kind === 'failed') {
      const askedAtMs = wasAsked || failure.isAnswerLost ? nowMs : undefined
      await note(grantId, { askedAtMs, failure: { atMs: nowMs, reason: failure.reason } })
      pause(plan, afterFailureMs(clock.monotonicMs(), plan.failures, random()))
      report(grantId, 'failed', 'access token not renewed, it is tried again')
      return failure
    }
    const reason = reasonOf(failure, wasAsked)
    const refusedAtMs = grant.refusedAtMs ?? nowMs
    await note(grantId, { askedAtMs: undefined, refusedAtMs, failure: { atMs: nowMs, reason } })
    pause(plan, afterRefusalMs(clock.monotonicMs(), random()))
    report(grantId, 'refused', 'grant refused, somebody has to authorize again')
    return failure
  }

  async function note(grantId: string, change: Parameters<Vault['noteGrant']>[1]): Promise<boolean> {
    try {
      await vault.noteGrant(grantId, change)
      return true
    } catch (error) {
      log.error({ code: codeOf(error) }, 'vault cannot be written')
      return false
    }
  }

  /** The old refresh token is gone: this pair exists nowhere else. */
  async function commit(
    grantId: string,
    pair: IssuedPair,
    clientSecret: string | undefined,
  ): Promise<boolean> {
    for (;;) {
      try {
        await vault.renewGrant(grantId, pair, clientSecret)
        return true
      } catch (error) {
        log.error({ code: codeOf(error) }, 'vault cannot be written')
        if (isStopped) return false
        await new Promise<void>((resolve) => void clock.after(COMMIT_AGAIN_MS, resolve))
      }
    }
  }

  function report(grantId: string, outcome: Parameters<typeof onRefresh>[0], phrase: string): void {
    onRefresh(outcome)
    const level = { renewed: 'info', failed: 'warn', refused: 'error' } as const
    const reason = outcome === 'refused' ? 'reauthorize' : undefined
    for (const adAccountId of vault.accountsOn(grantId)) {
      log[level[outcome]]({ ad_account_id: adAccountId, reason }, phrase)
    }
  }

  return {
    look,
    refresh,
    accessRefused(grantId) {
      const plan = planOf(grantId)
      if (plan === undefined || running.has(grantId)) return
      // While it fails or is refused, the plan says when it is asked again.
      const isPlanned = plan.failures > 0 || vault.grant(grantId)?.refusedAtMs !== undefined
      if (isPlanned || clock.monotonicMs() < plan.notBeforeMs) return
      void refresh(grantId)
    },
    isRefreshing: (grantId) => running.has(grantId),
    nextRefreshAtMs(grantId) {
      const plan = planOf(grantId)
      return plan && clock.wallMs() + msUntilDue(plan)
    },
    async stop(patienceMs) {
      isStopped = true
      cancelSleep()
      await orAfter(clock, patienceMs, Promise.all(running.values()))
    },
  }
}

function scrubbed(failure: OauthFailure, secrets: readonly string[]): OauthFailure {
  if (failure.kind === 'failed') return failure
  let { message } = failure
  for (const secret of secrets) message = createScrub(secret)(message)
  return { ...failure, message }
}

function reasonOf(failure: Extract<OauthFailure, { kind: 'refused' }>, wasAnswerLost: boolean): string {
  const said = `${failure.status} ${failure.message || 'without a word'}`
  return wasAnswerLost ? `${said} (the answer to an earlier refresh was lost)` : said
}
