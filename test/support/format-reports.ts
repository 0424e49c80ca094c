/** The end of a test run as text, the most important last: times, what was skipped, what failed and why, the counts. */
import type { Report } from './run-files.ts'

/** Debian's package for a program that tests drive and `npm ci` does not bring. */
const INSTALL: readonly (readonly [RegExp, string])[] = [
  [/nginx/, 'apt-get install nginx'],
  [/chromium/i, 'apt-get install chromium'],
  [/pgbouncer/i, 'apt-get install pgbouncer'],
]
const FAILURES_SHOWN = 20
const DETAIL_LINES = 30

export interface FormatOptions {
  readonly showTimes: boolean
  /** Of the random tests: told when a test failed. */
  readonly seed: number
}

export function formatReports(reports: readonly Report[], { showTimes, seed }: FormatOptions): string {
  const failures = reports.flatMap((report) => report.failures)
  const passed = reports.reduce((sum, report) => sum + report.passed, 0)
  const skips = reports.flatMap((report) => report.skips)
  return [
    ...(showTimes ? reports.toSorted((a, b) => a.cpuSeconds - b.cpuSeconds).map(formatTimes) : []),
    ...formatSkips(skips),
    ...failures.slice(0, FAILURES_SHOWN).map(({ name, details }) => `\n✗ ${name}\n${indent(details)}`),
    ...(failures.length > FAILURES_SHOWN ? [`\n… and ${failures.length - FAILURES_SHOWN} more`] : []),
    ...(failures.length > 1 ? ['', ...failures.map(({ name }) => `✗ ${name}`)] : []),
    ...(failures.length > 0 ? ['', `TEST_SEED=${seed} repeats the choices of random tests`] : []),
    `${passed} passed, ${failures.length} failed${skips.length === 0 ? '' : `, ${skips.length} skipped`}`,
  ].join('\n')
}

function formatTimes({ files, seconds, cpuSeconds }: Report): string {
  const [first, ...rest] = files
  const more = rest.length === 0 ? '' : ` and ${rest.length} more`
  return `${cpuSeconds.toFixed(1).padStart(6)} s CPU ${seconds.toFixed(1).padStart(6)} s  ${first}${more}`
}

function formatSkips(skips: readonly string[]): string[] {
  return [...Map.groupBy(skips, (reason) => reason)].map(([reason, { length }]) => {
    const command = INSTALL.find(([pattern]) => pattern.test(reason))?.[1]
    return `${length} skipped: ${reason}${command === undefined ? '' : `: ${command}`}`
  })
}

function indent(text: string): string {
  const lines = text.split('\n')
  const shown = lines.length > DETAIL_LINES ? [...lines.slice(0, DETAIL_LINES), '…'] : lines
  return shown.map((line) => `  ${line}`).join('\n')
}
