/** The report as Markdown, in the form in which docs/performance.md shows it. Pure. */
import { CONTENDERS } from './contenders.ts'
import type { StageTime } from './stages.ts'
import { nameScenario } from './scenarios.ts'
import type { Result, Target } from './targets.ts'

export function renderResult({ scenario, medians }: Result): string {
  const rows = CONTENDERS.flatMap((name) => {
    const own = medians[name]
    if (own === undefined) return []
    const rate = `${round(own.postsPerSecond)} (${round(own.lowestPostsPerSecond)} to ${round(own.highestPostsPerSecond)})`
    const refused = Object.entries(own.refused).map(([status, count]) => `${count} x ${status}`)
    return [
      [
        refused.length === 0 ? name : `${name} (refused: ${refused.join(', ')})`,
        round(own.cpuUsPerEvent),
        rate,
        (own.postsPerSecond / medians.proxy!.postsPerSecond).toFixed(2),
        name === 'ceiling' ? '' : round(own.eventsPerSecond),
        `${milliseconds(own.p50Ms)} / ${milliseconds(own.p99Ms)}`,
        name === 'ceiling' ? '' : own.callsPerPost.toFixed(2),
        milliseconds(own.loopDelayMs),
        String(own.peakMebibytes),
      ],
    ]
  })
  const head = [
    'contender',
    'CPU µs per event, with its database',
    'posts/s',
    'x proxy',
    'events/s delivered',
    'p50 / p99 ms',
    'calls per post',
    'loop delay p99 ms',
    'peak MiB',
  ]
  return `### ${capitalize(nameScenario(scenario))}\n\n${renderTable(head, rows)}`
}

export function renderTargets(targets: readonly Target[]): string {
  const rows = targets.map(({ name, wanted, measured, isMet }) => [
    name,
    wanted,
    measured.toPrecision(3),
    isMet ? 'met' : 'not met',
  ])
  return `### Targets\n\n${renderTable(['target', 'wanted', 'measured', ''], rows)}`
}

export function renderStages(stages: readonly StageTime[]): string {
  const rows = stages.map(({ name, us, floorUs }) => [
    name,
    us.toFixed(2),
    round(1e6 / us),
    floorUs === undefined ? '' : floorUs.toFixed(2),
    floorUs === undefined ? '' : (floorUs / us).toFixed(2),
  ])
  const head = ['stage', 'µs per event', 'events/s', 'floor, µs', 'share of the floor']
  return `### Pure stages, one thread, raw data\n\n${renderTable(head, rows)}`
}

export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function round(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(2)
}

function milliseconds(value: number): string {
  return value >= 10 ? String(Math.round(value)) : value.toFixed(2)
}

function capitalize(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1)
}
