/**
 * The relay on one core, two, and so on, beside the load on the other ones: how much more does it take? With as many cores as the
 * machine has they share the last ones, and the figure is what is left. With taskset: Linux only.
 */
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { openFolder } from '../test/support/at-exit.ts'
import { openRelay, startSandbox, type Contender, type Stage } from './contenders.ts'
import { measureRound, toMedian, type Median, type Round } from './measure.ts'
import { BASE, nameScenario, type Scenario } from './scenarios.ts'

export interface CoresResult {
  readonly cores: number
  readonly scenario: Scenario
  readonly median: Median
}

const SCENARIOS: readonly Scenario[] = [
  BASE,
  { ...BASE, accounts: 100 },
  { ...BASE, eventsPerPost: 100 },
  { ...BASE, eventsPerPost: 1000 },
]
const WARM_UP_SECONDS = 2

export async function compareCores(
  most: number,
  { rounds, seconds, report }: { rounds: number; seconds: number; report: (text: string) => void },
): Promise<readonly CoresResult[]> {
  const all = Array.from({ length: cpus().length }, (_, core) => core)
  if (!(most >= 1 && most <= all.length)) throw new Error(`--cores takes 1 to ${all.length} on this machine`)
  const results: CoresResult[] = []
  for (let cores = 1; cores <= most; cores++) {
    const others = all.slice(cores)
    report(`${cores} for the relay, ${others.length === 0 ? 'the same ones' : others.length} for the load`)
    await using stack = new AsyncDisposableStack()
    const { path: folder, remove } = openFolder('bench')
    stack.defer(remove)
    const sandbox = stack.use(await startSandbox())
    const relay = stack.use(await openRelay(sandbox.url, { DATABASE_URL: `sqlite:${folder}/relay.db` }))
    pin(relay.child.pid, all.slice(0, cores))
    for (const pid of [sandbox.child.pid, process.pid]) pin(pid, others.length === 0 ? all : others)
    const stage: Omit<Stage, keyof AsyncDisposable> = {
      contenders: [],
      sandbox,
      databaseSeconds: () => 0,
      adAccountIds: relay.adAccountIds,
    }
    const contender: Contender = { ...relay, name: 'relay', isQueue: true }
    for (const scenario of SCENARIOS) {
      await measureRound(stage, contender, scenario, WARM_UP_SECONDS)
      const own: Round[] = []
      for (let round = 0; round < rounds; round++)
        own.push(await measureRound(stage, contender, scenario, seconds))
      results.push({ cores, scenario, median: toMedian(own) })
    }
  }
  pin(process.pid, all)
  return results
}

/** All its threads, and those that they start. */
function pin(pid: number, cores: readonly number[]): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores.join(','), String(pid)])
}

export function renderCores(results: readonly CoresResult[]): string {
  const rows = results.map(({ cores, scenario, median }) => {
    const one = results.find((other) => other.cores === 1 && other.scenario === scenario)!.median
    return [
      nameScenario(scenario),
      cores,
      Math.round(median.postsPerSecond),
      Math.round(median.eventsPerSecond),
      (median.eventsPerSecond / one.eventsPerSecond).toFixed(2),
      Math.round(median.cpuUsPerEvent),
      Math.round(median.p99Ms),
    ]
  })
  const head = ['load', 'cores', 'posts/s', 'events/s', 'x one core', 'CPU us per event', 'p99 ms']
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
