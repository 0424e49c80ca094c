/**
 * Every fault of Pinterest mixed at random under load, without a kill: what is sent twice then is what Pinterest itself
 * left unanswered. test/faults has the same faults one by one.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Claim, Context } from './scenario.ts'
import { runStorm } from './storm.ts'

export async function runUpstream(context: Context): Promise<readonly Claim[]> {
  return runStorm(context, {
    accountCount: 4,
    clientCount: 16,
    faultStrength: 1,
    badEvents: { invalid: 0.01, failing: 0.003, poison: 0.0005 },
    async strike() {
      await delay(context.isShort ? 8_000 : 120_000)
      return []
    },
  })
}
