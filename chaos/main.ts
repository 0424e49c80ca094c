/**
 * `npm run chaos [-- NAME…] [--short] [--seed N]`: the delivery promises against real faults. Prints what each scenario
 * does and one outcome line per claim; exits with 1 when a claim is broken.
 */
import { parseArgs } from 'node:util'
import { runBacklog } from './backlog.ts'
import { runFailover } from './failover.ts'
import { runKills } from './kills.ts'
import { runModelScenario } from './model.ts'
import { createRandom } from '../test/support/random.ts'
import { count, type Claim, type Scenario } from './scenario.ts'
import { runReplicas } from './replicas.ts'
import { runShutdown } from './shutdown.ts'
import { runUpstream } from './upstream.ts'

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  kills: runKills,
  upstream: runUpstream,
  shutdown: runShutdown,
  model: runModelScenario,
  backlog: runBacklog,
  replicas: runReplicas,
  failover: runFailover,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean', default: false }, seed: { type: 'string' } },
})
const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
const names = positionals.length === 0 ? Object.keys(SCENARIOS) : positionals
const unknown = names.filter((name) => !Object.hasOwn(SCENARIOS, name))
if (unknown.length > 0 || !Number.isInteger(seed)) {
  process.stderr.write(
    `chaos: the scenarios are ${Object.keys(SCENARIOS).join(', ')}; --seed is a whole number\n`,
  )
  process.exit(2)
}

// An exit takes the relays with it, a signal alone would not.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

let claims = 0
let broken = 0
for (const name of names) {
  const startedMs = performance.now()
  const say = (text: string) => {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    process.stdout.write(`${name} ${seconds.padStart(6)} s  ${text}\n`)
  }
  say(`${values.short ? 'short' : 'long'} form, seed ${seed}`)
  const found = await run(name, say)
  for (const { holds, text } of found) process.stdout.write(`${holds ? '  holds   ' : '  BROKEN  '}${text}\n`)
  claims += found.length
  broken += found.filter(({ holds }) => !holds).length
}
process.stdout.write(`chaos: ${count(claims)} claims, ${count(broken)} broken\n`)
process.exit(broken === 0 ? 0 : 1)

/** A scenario that fails is a broken claim, not the end of the others. */
async function run(name: string, say: (text: string) => void): Promise<readonly Claim[]> {
  try {
    return await SCENARIOS[name]!({ isShort: values.short, seed, random: createRandom(seed), say })
  } catch (error) {
    return [
      { holds: false, text: `it ran to its end: ${error instanceof Error ? error.stack : String(error)}` },
    ]
  }
}
