/**
 * Asks Pinterest whether an account's token works, with one event that Pinterest checks and does not record
 * (`?test=true`). Takes a guard token like any other call.
 */
import { randomUUID } from 'node:crypto'
import type { Guard } from '../budget/guard.ts'
import type { Clock } from '../clock.ts'
import { sha256Hex } from '../event/hash.ts'
import type { Pinterest } from '../pinterest/outcome.ts'
import type { Vault } from '../vault/vault.ts'
import { createScrub } from './scrub.ts'
import { judge } from './verdict.ts'

export interface Verification {
  readonly works: boolean
  /** Pinterest's HTTP status; null without an answer. */
  readonly status: number | null
  readonly message: string
}

export type Verify = (adAccountId: string) => Promise<Verification>

export interface VerifyOptions {
  readonly pinterest: Pinterest
  readonly guard: Guard
  readonly vault: Vault
  readonly clock: Clock
}

export function createVerify({ pinterest, guard, vault, clock }: VerifyOptions): Verify {
  return async (adAccountId) => {
    const token = vault.tokenOf(adAccountId) ?? ''
    for (let waitMs = guard.take(adAccountId); waitMs > 0; waitMs = guard.take(adAccountId)) {
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve))
    }
    const body = Buffer.from(JSON.stringify({ data: [testEvent(clock.wallMs())] }))
    const outcome = await pinterest.sendEvents({ adAccountId, isTest: true, token, body })
    guard.finished(adAccountId)
    const verdict = judge(outcome, 1, clock.wallMs())
    if (outcome.kind === 'unanswered') {
      return { works: false, status: null, message: `Pinterest did not answer: ${outcome.reason}.` }
    }
    // A refused event still means an accepted token.
    const works = verdict.action === 'settle'
    const said = createScrub(token)(outcome.message)
    const message = works ? 'The token works for this ad account.' : said || 'Pinterest did not say why.'
    return { works, status: outcome.status, message }
  }
}

function testEvent(wallMs: number) {
  return {
    event_name: 'page_visit',
    action_source: 'web',
    event_time: Math.floor(wallMs / 1000),
    event_id: `pinrelay-verify-${randomUUID()}`,
    user_data: { em: [sha256Hex('verify@pinrelay.example')] },
  }
}
