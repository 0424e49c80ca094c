/**
 * `npm run bench`: the relay as shipped (durable store, keys, post limiter, call limiter, waiting for the outcome), as it
 * answers at once, and on PostgreSQL, beside its alternatives: a bare proxy, a service that calls Pinterest from the
 * request, and one that queues with graphile-worker or pg-boss; and beside a route that does nothing. The same posts, the same
 * sandbox, one machine, one run; the contenders take turns in changing order. A rate alone means nothing.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { areRivalsInstalled, openStage, type Contender } from './contenders.ts'
import { measureRound, toMedian, type Round } from './measure.ts'
import { FULL, nameScenario, SHORT, USUAL, type Scenario } from './scenarios.ts'
import { compareReplicas, renderReplicas } from './replicas.ts'
import { compareCores, renderCores } from './cores.ts'
import { runSoak } from './soak.ts'
import { measureStages } from './stages.ts'
import { renderResult, renderStages, renderTargets } from './table.ts'
import { judge, type Result } from './targets.ts'

const USAGE = `usage: npm run bench -- [options]

  --short         the loads that the targets name, about seven minutes
  --full          every load of the matrix, about an hour and a half
  --replicas      one and two replicas on PostgreSQL beside SQLite, and what the database is asked
  --cores N       the relay pinned to one core, two, up to N, and the load to the others
  --soak MINUTES  the relay alone, for so long: memory, and whether everything arrives
  --seconds N     one round of one contender (3)
  --rounds N      rounds of each contender under each load (3; --short 2)
  --out FILE      all figures as JSON (bench/results/latest.json)
`
/**
 * With many connections whatever the load is: V8 compiles a thread's code only after some ten thousand posts. At one connection two seconds
 * are a tenth of that, and a contender with more code was measured while it was interpreted.
 */
const WARM_UP_SECONDS = 4
const WARM_UP_CONNECTIONS = 100
const STAGE_ROUNDS = 20
/** After the start. */
const IDLE_MS = 10_000

const { values: options } = readWords()
if (options.help === true) {
  process.stdout.write(USAGE)
} else {
  const figures = await run()
  write({ machine: { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version }, ...figures })
}

async function run(): Promise<object> {
  if (options.replicas === true) return replicas()
  if (options.cores !== undefined) return cores(Number(options.cores))
  return options.soak === undefined ? compare() : soak(Number(options.soak))
}

async function replicas() {
  const rounds = Number(options.rounds ?? 3)
  const result = await compareReplicas({ rounds, seconds: Number(options.seconds), report })
  print(renderReplicas(result.rates, result.statements))
  return result
}

async function cores(most: number) {
  const rounds = Number(options.rounds ?? 3)
  const result = await compareCores(most, { rounds, seconds: Number(options.seconds), report })
  print(renderCores(result))
  return { cores: result }
}

function readWords() {
  return parseArgs({
    options: {
      help: { type: 'boolean', short: 'h' },
      short: { type: 'boolean' },
      full: { type: 'boolean' },
      replicas: { type: 'boolean' },
      cores: { type: 'string' },
      soak: { type: 'string' },
      seconds: { type: 'string', default: '3' },
      rounds: { type: 'string' },
      out: { type: 'string', default: fileURLToPath(new URL('./results/latest.json', import.meta.url)) },
    },
  })
}

async function compare() {
  const scenarios = options.short === true ? SHORT : options.full === true ? FULL : USUAL
  const rounds = Number(options.rounds ?? (options.short === true ? 2 : 3))
  const seconds = Number(options.seconds)
  if (!areRivalsInstalled()) {
    report('graphile-worker and pg-boss are left out: npm ci --prefix bench/rivals installs them')
  }
  const idleMebibytes = await measureIdle()
  const results: Result[] = []
  const all: { scenario: Scenario; rounds: Record<string, Round[]> }[] = []
  for (const scenario of scenarios) {
    report(nameScenario(scenario))
    const measured = await runScenario(scenario, { rounds, seconds })
    const medians = Object.fromEntries(
      Object.entries(measured).map(([name, own]) => [name, toMedian(own)]),
    ) as Result['medians']
    results.push({ scenario, medians })
    all.push({ scenario, rounds: measured })
    print(renderResult(results.at(-1)!))
  }
  const stages = measureStages(STAGE_ROUNDS)
  const { us, floorUs } = stages.at(-1)!
  const aside = { floorEventsPerSecond: 1e6 / floorUs!, preparedEventsPerSecond: 1e6 / us, idleMebibytes }
  const targets = judge(results, aside)
  print(renderStages(stages))
  print(renderTargets(targets))
  return { seconds, rounds, idleMebibytes, targets, stages, results, all }
}

async function measureIdle(): Promise<number> {
  await using stage = await openStage()
  await delay(IDLE_MS)
  return stage.contenders.find(({ name }) => name === 'relay')!.child.residentMebibytes()
}

/** With processes of its own, so that one load does not affect the next. */
async function runScenario(scenario: Scenario, turns: { rounds: number; seconds: number }) {
  await using stage = await openStage()
  const { contenders, sandbox } = stage
  const measured: Record<string, Round[]> = Object.fromEntries(contenders.map(({ name }) => [name, []]))
  await sandbox.setLatency(scenario.latencyMs)
  const warmUp = { ...scenario, connections: WARM_UP_CONNECTIONS }
  for (const contender of contenders) await measureRound(stage, contender, warmUp, WARM_UP_SECONDS)
  for (let round = 0; round < turns.rounds; round++) {
    for (const contender of rotate(contenders, round)) {
      measured[contender.name]!.push(await measureRound(stage, contender, scenario, turns.seconds))
    }
  }
  return measured
}

/** No contender always follows the same rival. */
function rotate(contenders: readonly Contender[], round: number): Contender[] {
  const start = round % contenders.length
  return [...contenders.slice(start), ...contenders.slice(0, start)]
}

async function soak(minutes: number) {
  await using stage = await openStage()
  const result = await runSoak(stage, minutes, report)
  const { posts, arrived, refused, growthMebibytesPerMinute, peakMebibytes } = result
  print(
    `${posts} posts, ${arrived} events arrived, ${refused} refused; peak ${peakMebibytes} MiB, ` +
      `growth in the last two thirds ${growthMebibytesPerMinute.toFixed(2)} MiB per minute`,
  )
  return { soak: result }
}

function write(figures: object): void {
  const path = resolve(options.out)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify(figures, null, 2)}\n`)
  report(`all figures: ${path}`)
}

function print(text: string): void {
  process.stdout.write(`${text}\n\n`)
}

function report(text: string): void {
  process.stderr.write(`${text}\n`)
}
