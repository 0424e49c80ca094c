/**
 * SIGTERM under load, again and again: clients see answers and clean 503s, and refused connections once the port is
 * closed; no post that the relay had accepted is cut off.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { claim, type Claim, type Context } from './scenario.ts'
import type { Stage } from './stage.ts'
import { runStorm } from './storm.ts'

export async function runShutdown(context: Context): Promise<readonly Claim[]> {
  const codes: (number | null)[] = []
  const cutOff: string[] = []
  const claims = await runStorm(context, {
    accountCount: 2,
    clientCount: 10,
    faultStrength: 0.2,
    slowPosts: 0.1,
    onOutcome(outcome) {
      if (outcome.kind === 'unanswered' && outcome.wasAccepted) cutOff.push(outcome.code)
    },
    strike: async (stage) => {
      for (let round = 0; round < (context.isShort ? 2 : 15); round += 1)
        codes.push(await endUnderLoad(context, stage))
      return []
    },
  })
  return [
    claim(
      cutOff.length === 0,
      `${cutOff.length} accepted posts were cut off ${[...new Set(cutOff)].join(', ')}`,
    ),
    claim(
      codes.every((code) => code === 0),
      `each of ${codes.length} relays left with 0`,
    ),
    ...claims,
  ]
}

async function endUnderLoad({ random, say }: Context, stage: Stage): Promise<number | null> {
  await delay(random.between(300, 1500))
  const code = await stage.relay().end()
  say(`ended with ${code}`)
  await stage.restart()
  return code
}
