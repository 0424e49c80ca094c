/**
 * kill -9 at random moments, while clients post and Pinterest fails, and while the relay starts; each time it is started
 * again on the same store. Then the same with a limit so low that a relay that forgot what it had sent would break it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Kill } from './relay-process.ts'
import { claim, type Claim, type Context } from './scenario.ts'
import type { Stage } from './stage.ts'
import { runStorm } from './storm.ts'

export async function runKills(context: Context): Promise<readonly Claim[]> {
  const { isShort, say } = context
  say('clients, faults and kills')
  const storm = await runStorm(context, {
    accountCount: 3,
    clientCount: 16,
    faultStrength: 0.6,
    badEvents: { invalid: 0.01, failing: 0.002, poison: 0.0005 },
    strike: (stage, betweenFaults) => killOften(context, stage, betweenFaults, isShort ? 8 : 100, 1800),
  })
  say('the same with 60 calls a minute, and lives long enough for some to leave')
  const limited = await runStorm(context, {
    accountCount: 2,
    clientCount: 12,
    settings: { CALLS_PER_MINUTE: '60', CALL_BURST: '10' },
    faultStrength: 0.2,
    strike: (stage, betweenFaults) => killOften(context, stage, betweenFaults, isShort ? 8 : 40, 3000),
  })
  return [...storm, ...limited.map(({ holds, text }) => claim(holds, `with a low limit: ${text}`))]
}

async function killOften(
  { random, say }: Context,
  stage: Stage,
  betweenFaults: () => Promise<void>,
  times: number,
  longestLifeMs: number,
): Promise<readonly Kill[]> {
  const kills: Kill[] = []
  while (kills.length < times) {
    await delay(random.between(50, longestLifeMs))
    kills.push(await stage.relay().kill())
    await betweenFaults()
    if (random.chance(0.15)) kills.push(await stage.killWhileStarting(random.between(50, 900)))
    await stage.restart()
    if (kills.length % 10 === 0) say(`killed ${kills.length} times`)
  }
  return kills
}
