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
 *     be used up. The next process asks at once, which shows what became of it: granted, or refused while the access
 *     token is still good for a fifth of its life. After the commit: the new pair is good.
 *
 * With several replicas only the one that claims a grant asks, from before `asked` until what came of it is written: two
 * that use the same refresh token would lose the grant. The others look again a little later, and find it renewed.
 *
 * Failing or refused, the access token goes on being used until Pinterest refuses that as well: a queue is held only then.
 */
import { orAfter, type Clock } from '../clock.ts'
import { codeOf, type Log } from '../telemetry/log.ts'
import type { OauthFailure, PinterestOauth } from '../pinterest/oauth.ts'
import { createPlans, type Plan } from './refresh-plan.ts'
import type { Grant, GrantNote, GrantToAsk, Vault } from './vault.ts'

type RefreshResult =
  | { readonly kind: 'renewed' }
  | OauthFailure
  /** The vault cannot be written: nothing was asked. */
  | { readonly kind: 'unwritable' }
  | { readonly kind: 'gone' }

export type Refresher = ReturnType<typeof createRefresher>

interface RefresherOptions {
  readonly vault: Vault
  readonly oauth: Pick<PinterestOauth, 'refresh'>
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly onRefresh: (outcome: 'renewed' | 'failed' | 'refused') => void
  /** Whether the wall clock can be believed: see clock-watch.ts. */
  readonly isClockTrusted: () => boolean
}

/** The wall clock may be set: it is looked at again at least so often. */
const LONGEST_SLEEP_MS = 15 * 60_000
const COMMIT_AGAIN_MS = 1000

export function createRefresher(options: RefresherOptions) {
  const { vault, clock, random, isClockTrusted } = options
  const plans = createPlans(vault, clock, random)
  const ask = createRefresh(options, plans, () => isStopped)
  const running = new Map<string, Promise<RefreshResult>>()
  let cancelSleep = () => {}
  let isStopped = false

  function look(): void {
    if (isStopped) return
    plans.forgetGone()
    let wakeInMs = LONGEST_SLEEP_MS
    for (const { grantId } of vault.grants()) {
      const plan = plans.of(grantId)!
      const inMs = plans.msUntilDue(plan)
      if (running.has(grantId)) continue
      if (inMs > 0) wakeInMs = Math.min(wakeInMs, inMs)
      // A clock that was just set may call any token old: it has days left when its time has come.
      else if (plan.dueAtMs === -Infinity || isClockTrusted()) void refresh(grantId)
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

  return {
    /** Refreshes what is due, now and from now on; to be called again whenever there may be new grants. */
    look,
    /** Joins a refresh that is under way. `clientSecret`: to be tried, and kept if it works. */
    refresh,
    /** Pinterest refused this grant's access token. Asks anew, unless that was just done or is due anyhow. */
    accessRefused(grantId: string): void {
      const plan = plans.of(grantId)
      if (plan === undefined || running.has(grantId)) return
      // While it fails or is refused, the plan says when it is asked again.
      const isPlanned = plan.failures > 0 || vault.grant(grantId)?.refusedAtMs !== undefined
      if (isPlanned || clock.monotonicMs() < plan.notBeforeMs) return
      void refresh(grantId)
    },
    isRefreshing: (grantId: string) => running.has(grantId),
    /** Milliseconds since the epoch; undefined for an unknown grant. */
    nextRefreshAtMs(grantId: string): number | undefined {
      const plan = plans.of(grantId)
      return plan && clock.wallMs() + plans.msUntilDue(plan)
    },
    /** No refresh begins from now on; resolves when those under way have ended, or after `patienceMs`. */
    async stop(patienceMs: number): Promise<void> {
      isStopped = true
      cancelSleep()
      await orAfter(clock, patienceMs, Promise.all(running.values()))
    },
  }
}

/** One refresh of one grant: claimed, asked, and written down. What it makes never rejects. */
function createRefresh(
  { vault, oauth, clock, log, onRefresh }: RefresherOptions,
  plans: ReturnType<typeof createPlans>,
  isStopped: () => boolean,
) {
  /** Undefined where the vault cannot be written. */
  async function written<Result>(change: Promise<Result>): Promise<Result | undefined> {
    try {
      return await change
    } catch (error) {
      log.error({ code: codeOf(error) }, 'vault cannot be written')
      return undefined
    }
  }
  const note = (grantId: string, change: GrantNote) => written(vault.noteGrant(grantId, change))

  async function ask(
    { grant, pair, client }: GrantToAsk,
    plan: Plan,
    clientSecret: string | undefined,
  ): Promise<RefreshResult> {
    const { grantId } = grant
    const asking = clientSecret === undefined ? client : { ...client, clientSecret }
    const answer = await oauth.refresh(asking, pair.refreshToken, grant.scope)
    if (answer.kind === 'granted') {
      // The old refresh token is gone: this pair exists nowhere else.
      while ((await written(vault.renewGrant(grantId, answer.value, clientSecret))) === undefined) {
        if (isStopped()) return { kind: 'unwritable' }
        await new Promise<void>((resolve) => void clock.after(COMMIT_AGAIN_MS, resolve))
      }
      plans.renewed(grantId)
      report(grantId, 'renewed')
      return { kind: 'renewed' }
    }
    // A secret that was only tried says nothing of the grant.
    if (clientSecret !== undefined && answer.kind === 'refused') {
      await note(grantId, { askedAtMs: grant.askedAtMs })
      return answer
    }
    await note(grantId, failureNote(grant, answer, clock.wallMs()))
    plans[answer.kind](plan)
    report(grantId, answer.kind)
    return answer
  }

  function report(grantId: string, outcome: keyof typeof REPORTS): void {
    onRefresh(outcome)
    const { level, reason, phrase } = REPORTS[outcome]
    for (const adAccountId of vault.accountsOn(grantId)) {
      log[level]({ ad_account_id: adAccountId, reason }, phrase)
    }
  }

  return async function refresh(grantId: string, clientSecret?: string): Promise<RefreshResult> {
    const plan = plans.of(grantId)
    if (plan === undefined) return { kind: 'gone' }
    // A secret is tried whoever was here first.
    const issuedAtMs = clientSecret === undefined ? plan.issuedAtMs : undefined
    try {
      const begun = await written(vault.beginRefresh(grantId, issuedAtMs, clock.wallMs()))
      switch (begun) {
        case undefined:
          plans.failed(plan)
          return { kind: 'unwritable' }
        case 'elsewhere':
          plans.claimedElsewhere(plan)
          return { kind: 'failed', reason: 'refreshed_elsewhere', isAnswerLost: false }
        case 'renewed':
        case 'gone':
          return { kind: begun }
      }
      return await ask(begun, plans.of(grantId) ?? plan, clientSecret)
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
