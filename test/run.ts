/**
 * `npm test`: runs the test files, several to a process and several processes at a time, over one PostgreSQL server,
 * and ends with what failed, what was skipped and the number of tests.
 *
 *     npm test                          all of test/**\/*.test.ts
 *     npm test -- test/gateway          a folder, or a file
 *     npm run test:long                 test/**\/*.long.ts: the same behaviours with more work
 *     npm test -- --jobs=1              one process at a time
 *     npm test -- --times               what each process took, in seconds of CPU
 *     TAP_TIMEOUT=20 npm test           a process whose tests tell nothing for so many seconds hangs: it is ended, with the test's name
 *     TEST_SEED=1 npm test              random tests with this seed; what failed prints the seed that it had
 */
import { chmodSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, relative, resolve, sep } from 'node:path'
import { parseArgs } from 'node:util'
import { openFolder } from './support/at-exit.ts'
import { findMemory } from './support/own-postgres.ts'
import { startPostgres } from './support/postgres.ts'
import { TEST_SEED } from './support/seed.ts'
import { runFiles, type Report } from './support/run-files.ts'
import { formatReports } from './support/format-reports.ts'

const ROOT = resolve(import.meta.dirname, '..')

/**
 * Folders whose files share a process: starting one, and a relay in it, costs more than most tests. In the order in which they
 * begin: what takes longest first. Of the empty group are all other files.
 */
const GROUPS: readonly (readonly string[])[] = [
  ['console'],
  ['store/postgres'],
  ['admin', 'delivery', 'docs', 'ingest', 'telemetry'],
  ['gateway', 'replicas', 'demo'],
  ['process', 'faults'],
  ['store', 'cli', 'client'],
  [],
]
/** Beyond one for each core: most groups wait for browsers, databases and other processes half of their time. */
const MORE_JOBS = 6

/** Far above what any test takes on a slow machine. */
const SILENCE_SECONDS = 180
const LONG_SILENCE_SECONDS = 900

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: 'string', default: String(availableParallelism() + MORE_JOBS) },
    long: { type: 'boolean', default: false },
    times: { type: 'boolean', default: false },
  },
})

const files = await findFiles(positionals, options.long ? '.long.ts' : '.test.ts')
if (files.length === 0) {
  process.stdout.write('no test file has that name\n0 passed, 0 failed\n')
  process.exit(1)
}
const silenceSeconds =
  Number(process.env['TAP_TIMEOUT']) || (options.long ? LONG_SILENCE_SECONDS : SILENCE_SECONDS)
const reports: Report[] = []
// Ends in order: the groups with what they started, then the server and the folder that they use. What has failed until then is shown.
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())
const server = files.some(needsPostgres) ? await startPostgres() : undefined
// Stores sync each commit: on a disk that others use, too, the waits for it were half of the time, and its work a tenth of the CPU.
const memory = process.env['TMPDIR'] === undefined ? findMemory() : undefined
const folder = memory && openFolder('tests', memory).path
// nginx and PostgreSQL go there as users of their own.
if (folder !== undefined) chmodSync(folder, 0o755)
try {
  const environment = {
    ...(folder !== undefined && { TMPDIR: folder }),
    NODE_COMPILE_CACHE: join(ROOT, 'node_modules', '.cache', 'compiled'),
    TEST_SEED: String(TEST_SEED),
    ...(server && { PINRELAY_TEST_POSTGRES: server.url }),
  }
  await runAll(groupFiles(files), Number(options.jobs), environment)
  showReports()
  const hasFailed = reports.some(({ failures }) => failures.length > 0)
  process.exitCode = stop.signal.aborted ? 130 : Number(hasFailed)
} finally {
  await server?.close()
}

/** Paths from the root, sorted. */
async function findFiles(names: readonly string[], ending: string): Promise<string[]> {
  const found = new Set<string>()
  for (const name of names.length === 0 ? ['test'] : names) {
    const path = relative(ROOT, resolve(name))
    if (path.endsWith('.ts')) found.add(path)
    else for await (const file of glob(`${path}/**/*${ending}`, { cwd: ROOT })) found.add(file)
  }
  return [...found].toSorted()
}

function needsPostgres(file: string): boolean {
  return /postgres|replicas|shared/.test(file)
}

function groupFiles(all: readonly string[]): string[][] {
  const rank = (file: string) => {
    const index = GROUPS.findIndex((folders) =>
      folders.some((folder) => file.startsWith(join('test', folder, sep))),
    )
    return index === -1 ? GROUPS.findIndex(({ length }) => length === 0) : index
  }
  return [...Map.groupBy(all, rank)].toSorted(([a], [b]) => a - b).map(([, files]) => files)
}

function formatProgress({ files, passed, failures, seconds }: Report, waiting: number): string {
  const [first, ...rest] = files
  const name = rest.length === 0 ? first : `${first} and ${rest.length} more`
  const result = failures.length === 0 ? `✓ ${passed}` : `✗ ${failures.length} failed, ${passed}`
  return `${result} passed in ${seconds.toFixed(1)} s: ${name} (${waiting} wait)\n`
}

async function runAll(
  groups: readonly string[][],
  jobs: number,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const waiting = [...groups]
  const work = async () => {
    for (let group = waiting.shift(); group && !stop.signal.aborted; group = waiting.shift()) {
      const report = await runFiles(group, { root: ROOT, environment, silenceSeconds, signal: stop.signal })
      if (stop.signal.aborted) return
      reports.push(report)
      process.stdout.write(formatProgress(report, waiting.length))
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
}

function showReports(): void {
  process.stdout.write(`${formatReports(reports, { showTimes: options.times, seed: TEST_SEED })}\n`)
}
