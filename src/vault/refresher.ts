/**
 * Keeps grants alive: it alone refreshes them, each by one refresh at a time, however many accounts and queues ask.
 *
 *            4/5 of its life, a 401, an operator
 *   valid ───────────────────────────────────────> asked ──granted──> written ──> valid
 *     ▲                                            │   │
 *     └──────── fails: again after a pause ────────┘   └──refused──> refused ──(every hour)──> asked
 *
 * A refresh token is used up by its use, so nothing may be lost around it:
 *   - `asked` is committed before the request is sent. Where the vault cannot be written, nothing is asked.
 *   - The new pair is committed before it is used; the commit is retried until it succeeds.
 *   - A process that dies before the request: the old pair is valid. Between request and commit: the refresh token may be
 *     used up. The next process asks at once, and is granted or refused while the access token is still valid for a fifth
 *     of its life. After the commit: the new pair is valid.
 *
 * With several replicas only the one that claims a grant asks, from before `asked` until the result is written: two
 * that use the same refresh token would lose the grant. The others check again a little later, and find it renewed.
 *
 * While refreshes fail or are refused, the access token is used until Pinterest refuses it as well: only then is a queue held.
 */
import { codeOf } from '../errors.ts'
import { orAfter, sleep, type Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'
import type { OauthFailure, PinterestOauth } from '../pinterest/oauth.ts'
import { sha256Hex } from '../events/hash.ts'
import type { Grant, GrantNote, GrantToAsk, Vault } from './vault.ts'

type RefreshResult =
  | { readonly kind: 'renewed' }
  | OauthFailure
  /** The vault cannot be written: nothing was asked. */
  | { readonly kind: 'unwritable' }
  /** Another replica does it. */
  | { readonly kind: 'elsewhere' }
  | { readonly kind: 'gone' }

export type Refresher = ReturnType<typeof createRefresher>

interface RefresherOptions {
  readonly vault: Vault
  readonly oauth: Pick<PinterestOauth, 'refresh'>
  readonly clock: Clock
  readonly log: Log
  readonly onRefresh: (outcome: 'renewed' | 'failed' | 'refused') => void
  /** Whether the wall clock can be believed: see clock-watch.ts. */
  readonly isClockTrusted: () => boolean
}

/** Of an access token's life: early enough for weeks of failures (30 days leave six), late enough to be rare. */
const REFRESH_AT = 4 / 5
/** So that a hundred grants of one afternoon are not refreshed in one minute. */
const JITTER = 1 / 50
const FIRST_RETRY_MS = 5000
const LONGEST_RETRY_MS = 15 * 60_000
/** A refusal needs a person, but may have been Pinterest's own mistake: it is retried hourly. */
const REFUSED_RETRY_MS = 3600_000
/** Pinterest may refuse a token that it gave a moment ago, or say that it lives for seconds; more tokens do not help then. */
const RENEWED_AGAIN_MS = 5 * 60_000
/** Another replica refreshes: by then it is done, or has at least asked. */
const CLAIMED_AGAIN_MS = 3000
/** The wall clock may be set: it is read again at least so often. */
const LONGEST_SLEEP_MS = 15 * 60_000
const COMMIT_AGAIN_MS = 1000

/** Pure. When a grant is asked for, in milliseconds since the epoch, and whether only since its token is old. */
function planRefresh(grant: Grant, nowMs: number): { readonly dueAtMs: number; readonly isByAge: boolean } {
  const { grantId, issuedAtMs, expiresAtMs, askedAtMs, failure } = grant
  // In [0, 1): the same in every replica and at every check.
  const share = Number.parseInt(sha256Hex(grantId).slice(0, 8), 16) / 2 ** 32
  if (failure === undefined && askedAtMs === undefined) {
    const lifeMs = expiresAtMs - issuedAtMs
    return { dueAtMs: issuedAtMs + lifeMs * (REFRESH_AT - JITTER * share), isByAge: true }
  }
  // Asked: a process died, or a disk failed, between request and answer. Find out at once what is still valid.
  const isOpen = failure === undefined || (askedAtMs !== undefined && askedAtMs > failure.atMs)
  // A time far ahead was written while the clock was wrong: waiting for it could take years.
  if (isOpen || failure.atMs > nowMs + LONGEST_RETRY_MS) return { dueAtMs: -Infinity, isByAge: false }
  const { atMs, count, isRefused } = failure
  const backoffMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(count - 1, 20))
  const pauseMs = isRefused ? REFUSED_RETRY_MS * (0.75 + share / 2) : backoffMs * (0.75 + share / 4)
  return { dueAtMs: atMs + pauseMs, isByAge: false }
}

export function createRefresher(options: RefresherOptions) {
  const { vault, clock, isClockTrusted } = options
  /** By grant, monotonic: after what its record does not say. */
  const pausedUntilMs = new Map<string, number>()
  const pause = (grantId: string, ms: number) => void pausedUntilMs.set(grantId, clock.monotonicMs() + ms)
  const ask = createRefresh(options, pause, () => isStopped)
  const running = new Map<string, Promise<RefreshResult>>()
  let cancelSleep = () => {}
  let isStopped = false

  function msUntilDue(grantId: string, dueAtMs: number): number {
    const pauseMs = (pausedUntilMs.get(grantId) ?? -Infinity) - clock.monotonicMs()
    return Math.max(0, dueAtMs - clock.wallMs(), pauseMs)
  }

  /** Refreshes what is due, now and from now on; to be called again whenever there may be new grants. */
  function check(): void {
    if (isStopped) return
    let wakeInMs = LONGEST_SLEEP_MS
    for (const grant of vault.grants()) {
      const { grantId } = grant
      const { dueAtMs, isByAge } = planRefresh(grant, clock.wallMs())
      const inMs = msUntilDue(grantId, dueAtMs)
      if (running.has(grantId)) continue
      if (inMs > 0) wakeInMs = Math.min(wakeInMs, inMs)
      // By a clock that was just set any token may seem old; when it is, it still has days left.
      else if (!isByAge || isClockTrusted()) void refresh(grantId)
    }
    cancelSleep()
    cancelSleep = clock.after(wakeInMs, check)
  }

  /** Joins a refresh that is under way. `clientSecret`: to be tried, and kept if it works. */
  function refresh(grantId: string, clientSecret?: string): Promise<RefreshResult> {
    const current = running.get(grantId)
    if (current !== undefined) {
      // With another secret it is another request, to be sent when this one is answered.
      return clientSecret === undefined ? current : current.then(() => refresh(grantId, clientSecret))
    }
    if (isStopped) return Promise.resolve({ kind: 'failed', reason: 'shutting_down', isAnswerLost: false })
    const asked = ask(grantId, clientSecret).finally(() => {
      running.delete(grantId)
      check()
    })
    running.set(grantId, asked)
    return asked
  }

  /** Pinterest refused this grant's access token. Asks for a new one, unless that was just done or is due anyway. */
  function accessRefused(grantId: string): void {
    const grant = vault.grant(grantId)
    // While it fails or is refused, it is asked again anyhow.
    if (isStopped || grant === undefined || grant.failure !== undefined) return
    if (running.has(grantId) || msUntilDue(grantId, -Infinity) > 0) return
    void refresh(grantId).then((result) => {
      // Its record says nothing of this: another replica may die before it has asked, or with the answer.
      if (result.kind !== 'unwritable' && result.kind !== 'elsewhere') return
      clock.after(FIRST_RETRY_MS, () => {
        if (vault.grant(grantId)?.issuedAtMs === grant.issuedAtMs) accessRefused(grantId)
      })
    })
  }

  return {
    check,
    refresh,
    accessRefused,
    isRefreshing: (grantId: string) => running.has(grantId),
    /** Milliseconds since the epoch; undefined for an unknown grant. */
    nextRefreshAtMs(grantId: string): number | undefined {
      const grant = vault.grant(grantId)
      const nowMs = clock.wallMs()
      return grant && nowMs + msUntilDue(grantId, planRefresh(grant, nowMs).dueAtMs)
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
  pause: (grantId: string, ms: number) => void,
  isStopped: () => boolean,
) {
  /** Undefined where the vault cannot be written. */
  async function written<Result>(grantId: string, change: Promise<Result>): Promise<Result | undefined> {
    try {
      return await change
    } catch (error) {
      log.error({ code: codeOf(error) }, 'vault cannot be written')
      pause(grantId, FIRST_RETRY_MS)
      return undefined
    }
  }
  const note = (grantId: string, change: GrantNote) => written(grantId, vault.noteGrant(grantId, change))

  async function ask({ grant, pair, client }: GrantToAsk, clientSecret?: string): Promise<RefreshResult> {
    const { grantId } = grant
    const asking = clientSecret === undefined ? client : { ...client, clientSecret }
    const answer = await oauth.refresh(asking, pair.refreshToken, grant.scope)
    if (answer.kind === 'granted') {
      const renew = () => written(grantId, vault.renewGrant(grantId, answer.value, clientSecret))
      // The old refresh token is gone: this pair exists nowhere else.
      while ((await renew()) === undefined) {
        if (isStopped()) return { kind: 'unwritable' }
        await sleep(clock, COMMIT_AGAIN_MS)
      }
      pause(grantId, RENEWED_AGAIN_MS)
      report(grantId, 'renewed')
      return { kind: 'renewed' }
    }
    // A secret that was only tried says nothing of the grant.
    if (clientSecret !== undefined && answer.kind === 'refused') {
      await note(grantId, { askedAtMs: grant.askedAtMs })
      return answer
    }
    await note(grantId, failureNote(grant, answer, clock.wallMs()))
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
    // A new secret is always tried.
    const issuedAtMs = clientSecret === undefined ? vault.grant(grantId)?.issuedAtMs : undefined
    try {
      const begun = await written(grantId, vault.beginRefresh(grantId, issuedAtMs, clock.wallMs()))
      if (begun === undefined) return { kind: 'unwritable' }
      if (begun === 'elsewhere') pause(grantId, CLAIMED_AGAIN_MS)
      return typeof begun === 'string' ? { kind: begun } : await ask(begun, clientSecret)
    } finally {
      await vault.unclaim(grantId)
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
  const count = (grant.failure?.count ?? 0) + 1
  if (failure.kind === 'failed') {
    const askedAtMs = wasAsked || failure.isAnswerLost ? nowMs : undefined
    const isRefused = grant.failure?.isRefused ?? false
    return { askedAtMs, failure: { atMs: nowMs, reason: failure.reason, count, isRefused } }
  }
  const said = `${failure.status} ${failure.message || 'without a word'}`
  const reason = wasAsked ? `${said} (the answer to an earlier refresh was lost)` : said
  return { askedAtMs: undefined, failure: { atMs: nowMs, reason, count, isRefused: true } }
}
