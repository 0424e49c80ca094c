/**
 * `npm run chaos [-- NAME…] [--short] [--seed N]`: the delivery promises against real faults. Prints what each scenario
 * does and one outcome line per claim; exits with 1 when a claim is broken.
 */
import { parseArgs } from 'node:util'
import { createRandom } from '../test/support/random.ts'
import { count, type Claim, type Scenario } from './scenario.ts'

/** Loaded when they are played: the usage needs none of them. */
const SCENARIOS: Readonly<Record<string, () => Promise<Scenario>>> = {
  kills: async () => (await import('./kills.ts')).runKills,
  upstream: async () => (await import('./upstream.ts')).runUpstream,
  shutdown: async () => (await import('./shutdown.ts')).runShutdown,
  model: async () => (await import('./model.ts')).runModelScenario,
  backlog: async () => (await import('./backlog.ts')).runBacklog,
  replicas: async () => (await import('./replicas.ts')).runReplicas,
  failover: async () => (await import('./failover.ts')).runFailover,
}

const USAGE = `usage: npm run chaos -- [NAME…] [options]

  NAME      one or more of ${Object.keys(SCENARIOS).join(', ')} (all of them)
  --short   three minutes instead of half an hour
  --seed N  a whole number: the same choices as the run that printed it
`

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        short: { type: 'boolean', default: false },
        seed: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    const { help, short: isShort, seed = Math.floor(Math.random() * 1e9) } = values
    const names = positionals.length === 0 ? Object.keys(SCENARIOS) : positionals
    const isRight = names.every((name) => Object.hasOwn(SCENARIOS, name)) && Number.isInteger(Number(seed))
    if (help !== true && isRight) return { names, isShort, seed: Number(seed) }
    process[help === true ? 'stdout' : 'stderr'].write(USAGE)
    process.exit(help === true ? 0 : 2)
  } catch {
    // An option is unknown, or lacks its value.
    process.stderr.write(USAGE)
    process.exit(2)
  }
}

const { names, isShort, seed } = readOptions()

let claims = 0
let broken = 0
for (const name of names) {
  const startedMs = performance.now()
  const say = (text: string) => {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    process.stdout.write(`${name} ${seconds.padStart(6)} s  ${text}\n`)
  }
  say(`${isShort ? 'short' : 'long'} form, seed ${seed}`)
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
    const play = await SCENARIOS[name]!()
    return await play({ isShort, seed, random: createRandom(seed), say })
  } catch (error) {
    return [
      { holds: false, text: `it ran to its end: ${error instanceof Error ? error.stack : String(error)}` },
    ]
  }
}
