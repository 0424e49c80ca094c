/**
 * When a grant is refreshed. A token's life is in milliseconds since the epoch; a pause is counted on the clock that
 * nobody can set.
 */
import type { Clock } from '../clock.ts'
import type { Vault } from './vault.ts'

/** Of an access token's life: early enough for weeks of failures (30 days leave six), late enough to be rare. */
const REFRESH_AT = 4 / 5
/** So that a hundred grants of one afternoon are not refreshed in one minute. */
const JITTER = 1 / 50

const FIRST_RETRY_MS = 5000
const LONGEST_RETRY_MS = 15 * 60_000
/** A refusal is for a person to mend, but may have been Pinterest's own mistake: it is asked again now and then. */
const REFUSED_RETRY_MS = 3600_000
/** Pinterest may refuse a token that it gave a moment ago; more tokens do not help then. */
const REFUSED_AGAIN_MS = 5 * 60_000
/** Another replica refreshes: by then it is done, or has at least asked. */
const CLAIMED_AGAIN_MS = 3000

export interface Plan {
  /** Of the pair that it is for: another replica may bring a new one. */
  readonly issuedAtMs: number
  /** By the pair's life; -Infinity once it has failed or was refused: as soon as no pause forbids it. */
  dueAtMs: number
  /** Monotonic; before it nothing that is due is asked for. */
  pausedUntilMs: number
  failures: number
  /** Monotonic; a 401 before it starts no refresh. */
  notBeforeMs: number
}

/** By grant. `random` is in [0, 1). */
export function createPlans(vault: Vault, clock: Clock, random: () => number) {
  const plans = new Map<string, Plan>()

  function pause(plan: Plan, ms: number): void {
    plan.dueAtMs = -Infinity
    plan.pausedUntilMs = clock.monotonicMs() + ms
  }

  function refused(plan: Plan): void {
    pause(plan, REFUSED_RETRY_MS * (0.75 + random() / 2))
  }

  /** Made anew with each new pair; undefined for an unknown grant. */
  function of(grantId: string): Plan | undefined {
    const grant = vault.grant(grantId)
    const known = plans.get(grantId)
    if (grant === undefined) plans.delete(grantId)
    if (grant === undefined || known?.issuedAtMs === grant.issuedAtMs) return grant && known
    const { issuedAtMs, expiresAtMs, askedAtMs } = grant
    const lifeMs = expiresAtMs - issuedAtMs
    const plan = {
      issuedAtMs,
      // Asked: a process died, or a disk failed, between question and answer. Find out at once what is still good.
      dueAtMs: askedAtMs === undefined ? issuedAtMs + lifeMs * (REFRESH_AT - JITTER * random()) : -Infinity,
      pausedUntilMs: -Infinity,
      failures: 0,
      notBeforeMs: -Infinity,
    }
    if (grant.refusedAtMs !== undefined) refused(plan)
    plans.set(grantId, plan)
    return plan
  }

  return {
    of,
    msUntilDue: ({ dueAtMs, pausedUntilMs }: Plan) =>
      Math.max(0, dueAtMs - clock.wallMs(), pausedUntilMs - clock.monotonicMs()),
    failed(plan: Plan): void {
      plan.failures += 1
      const pauseMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(plan.failures - 1, 20))
      pause(plan, pauseMs * (0.5 + random() / 2))
    },
    refused(plan: Plan): void {
      plan.failures += 1
      refused(plan)
    },
    claimedElsewhere: (plan: Plan) => pause(plan, CLAIMED_AGAIN_MS),
    renewed(grantId: string): void {
      plans.delete(grantId)
      const plan = of(grantId)
      if (plan !== undefined) plan.notBeforeMs = clock.monotonicMs() + REFUSED_AGAIN_MS
    },
    forgetGone: () => plans.forEach((_, grantId) => of(grantId)),
  }
}
