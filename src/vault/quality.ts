/**
 * Pinterest's own Event Quality Score of each account: fetched once a day where some token of the account may read it,
 * and kept. One account after the other: nobody waits for it.
 */
import { codeOf } from '../errors.ts'
import { repeat, type Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'
import { hasScope, type PinterestOauth } from '../pinterest/oauth.ts'
import type { Quality } from './records.ts'
import type { Vault } from './vault.ts'

interface QualityOptions {
  readonly vault: Vault
  readonly oauth: Pick<PinterestOauth, 'qualityScores'>
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

const DAY_MS = 24 * 3600_000
/** A failed one is tried again sooner. */
const AGAIN_MS = 3600_000
const CHECK_EVERY_MS = 10 * 60_000
/** After each change every replica reads the whole vault again. */
const KEPT_TOGETHER = 100

export function createQualityFetcher({ vault, oauth, clock, random, log }: QualityOptions) {
  let cancel = () => {}
  let isClosed = false

  /** A conversion token can send events and nothing else. */
  function readingToken(adAccountId: string): string | undefined {
    const account = vault.account(adAccountId)
    const grant = vault.grantOf(adAccountId)
    if (grant !== undefined) {
      return hasScope(grant.scope, 'ads:read') ? vault.pairOf(grant.grantId)?.accessToken : undefined
    }
    return account?.tokenKind === 'given' ? vault.tokenOf(adAccountId) : undefined
  }

  async function fetchAll(): Promise<void> {
    const fetched: Quality[] = []
    const keep = () => vault.putQuality(fetched.splice(0))
    try {
      for (const { adAccountId } of vault.accounts()) {
        if (isClosed) break
        const token = readingToken(adAccountId)
        const known = vault.quality(adAccountId)
        if (token === undefined || !isDue(known, clock.wallMs())) continue
        fetched.push(await fetchOne(adAccountId, token, known))
        if (fetched.length === KEPT_TOGETHER) await keep()
      }
      if (fetched.length > 0) await keep()
    } catch (error) {
      if (!isClosed) log.error({ code: codeOf(error) }, 'quality scores cannot be kept')
    }
  }

  async function fetchOne(adAccountId: string, token: string, known: Quality | undefined): Promise<Quality> {
    const answer = await oauth.qualityScores(token, adAccountId)
    const nowMs = clock.wallMs()
    if (answer.kind === 'granted')
      return { adAccountId, fetchedAtMs: nowMs, scores: answer.value, failure: undefined }
    const reason = answer.kind === 'failed' ? answer.reason : `${answer.status} ${answer.message}`.trimEnd()
    const before = { fetchedAtMs: known?.fetchedAtMs, scores: known?.scores ?? [] }
    return { adAccountId, ...before, failure: { atMs: nowMs, reason } }
  }

  return {
    // Not at once: relays that are started again and again should not ask each time.
    start: () => void (cancel = repeat(clock, CHECK_EVERY_MS, fetchAll, CHECK_EVERY_MS * random())),
    close() {
      isClosed = true
      cancel()
    },
  }
}

/** A refusal (a token without `ads:read`) is asked again once a day, what may pass within the hour. */
function isDue(known: Quality | undefined, nowMs: number): boolean {
  if (known === undefined) return true
  const { fetchedAtMs = -Infinity, failure } = known
  const lastMs = failure?.atMs ?? fetchedAtMs
  const pauseMs = failure === undefined || /^4\d\d /.test(failure.reason) ? DAY_MS : AGAIN_MS
  // A time to come was written while the clock was wrong: waiting for it could take years.
  return lastMs > nowMs || lastMs + pauseMs <= nowMs
}
