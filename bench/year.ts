/**
 * A simulated year of the store (SQLite): does it grow without bound, and is it as fast at the end as at the beginning? So many
 * events are committed and acknowledged, one percent of them rejected, while a hand-set clock passes so many days; housekeeping
 * runs on that clock with the default settings. No HTTP, no Pinterest. Linux only.
 *
 *   MALLOC_ARENA_MAX=1 npx node --max-semi-space-size=8 --heap-growing-percent=150 bench/year.ts [events, 100000000] [days, 365]
 *
 * These are the image's settings. Fewer events on as many days fewer keep the density. CPU time per event is what holds still on
 * a busy machine; TMPDIR=/dev/shm leaves the disk out.
 */
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../src/clock.ts'
import { readSettings } from '../src/settings.ts'
import { keepHouse } from '../src/store/housekeeping.ts'
import { openFolder } from '../test/support/at-exit.ts'
import { openSqlite } from '../test/support/stores.ts'
import { createLog } from '../src/telemetry/log.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { makePost } from './batch.ts'

const EVENTS_PER_POST = 10
const CONNECTIONS = 50
/** In one call, and acknowledged together. */
const POSTS_PER_CALL = 12
const REJECTED_SHARE = 0.01
const STEP_MS = 10 * 60_000
const DAY_MS = 86_400_000
const ROWS = 12
/** Of housekeeping. */
const CHORES = 4
const REJECTED = {
  index: 0,
  status: 'rejected',
  reason: 'rejected_event',
  message: 'The event was rejected.',
  attempts: 1,
  history: [],
} as const

const events = Number(process.argv[2] ?? 100_000_000)
const days = Number(process.argv[3] ?? 365)
const steps = Math.ceil((days * DAY_MS) / STEP_MS)
const settings = readSettings({})
const clock = createSteppedClock()
const { path: folder, remove } = openFolder('year')
const path = join(folder, 'relay.db')
const { store, close } = await openSqlite({
  path,
  masterKeys: { current: randomBytes(32) },
  hasTrail: true,
  wallMs: clock.wallMs,
  storeLimitBytes: settings.STORE_LIMIT_BYTES,
  reservedBytes: settings.RESERVED_BYTES,
})
const log = createLog({ level: 'warn', destination: { write: (line) => void process.stderr.write(line) } })
const metrics = createMetrics({ version: 'bench' })
const house = keepHouse({ store, settings, metrics, isClockTrusted: () => true, clock, log })

print(['day', 'events', 'file MiB', 'WAL MiB', 'memory MiB', 'dead letters', 'posts/s', 'CPU us/event'])
let committed = 0
let calls = 0
const rates: { readonly postsPerSecond: number; readonly cpuUs: number }[] = []
for (let row = 1; row <= ROWS; row++) {
  const [startedMs, cpu, before] = [performance.now(), process.cpuUsage(), committed]
  const lastStep = Math.round((steps * row) / ROWS)
  for (let step = Math.round((steps * (row - 1)) / ROWS); step < lastStep; step++) {
    await postUntil(Math.round((events * (step + 1)) / steps))
    await clock.step(STEP_MS)
  }
  const { user, system } = process.cpuUsage(cpu)
  const postsPerSecond = (committed - before) / EVENTS_PER_POST / ((performance.now() - startedMs) / 1000)
  const cpuUs = (user + system) / (committed - before)
  rates.push({ postsPerSecond, cpuUs })
  const { rejected } = await store.totals({})
  const deleted = (await metrics.deadLettersDeleted.get()).values.reduce((sum, { value }) => sum + value, 0)
  print([
    (days * row) / ROWS,
    committed,
    mebibytes(path),
    mebibytes(`${path}-wal`),
    process.memoryUsage.rss() / 1024 ** 2,
    rejected - deleted,
    postsPerSecond,
    cpuUs,
  ])
}
house.close()
const totals = await store.totals({})
await close()
remove()
const [first, last] = [rates[0]!, rates.at(-1)!]
process.stdout.write(
  `last row to first: posts/s ${(last.postsPerSecond / first.postsPerSecond).toFixed(2)}, ` +
    `CPU per event ${(last.cpuUs / first.cpuUs).toFixed(2)}\n`,
)
if (totals.received !== committed || totals.delivered + totals.rejected !== committed)
  throw new Error(`The totals do not add up: ${JSON.stringify(totals)}`)

/** As many posts at once as a busy relay has; each call's outcomes are acknowledged. */
async function postUntil(count: number): Promise<void> {
  let waiting: number[] = []
  const acknowledge = async () => {
    const call = { id: `call-${++calls}`, startedAtMs: clock.wallMs() }
    const batchIds = waiting
    waiting = []
    await store.acknowledge(
      batchIds.map((batchId) => ({
        batchId,
        delivered: 'rest',
        dead: Math.random() < EVENTS_PER_POST * REJECTED_SHARE ? [REJECTED] : [],
        acknowledgedAtMs: clock.wallMs(),
        call,
      })),
    )
  }
  const connection = async () => {
    while (committed < count) {
      committed += EVENTS_PER_POST
      const { batch } = await store.commit(makePost(EVENTS_PER_POST, clock.wallMs()))
      waiting.push(batch!.batchId)
      if (waiting.length >= POSTS_PER_CALL) await acknowledge()
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, connection))
  if (waiting.length > 0) await acknowledge()
}

function createSteppedClock(): Clock & { step(ms: number): Promise<void> } {
  let nowMs = Date.UTC(2026, 0, 1)
  let timers: { readonly atMs: number; readonly callback: () => void }[] = []
  return {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after(delayMs, callback) {
      const timer = { atMs: nowMs + delayMs, callback }
      timers.push(timer)
      return () => (timers = timers.filter((other) => other !== timer))
    },
    async step(ms) {
      nowMs += ms
      const due = timers.filter(({ atMs }) => atMs <= nowMs)
      timers = timers.filter(({ atMs }) => atMs > nowMs)
      for (const { callback } of due) callback()
      // A chore sets its next timer when it is done.
      while (timers.length < CHORES) await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

function mebibytes(file: string): number {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) / 1024 ** 2
}

function print(cells: readonly (string | number)[]): void {
  const texts = cells.map((cell) => (typeof cell === 'number' ? String(Math.round(cell)) : cell))
  process.stdout.write(`${texts.map((text) => text.padStart(13)).join('')}\n`)
}
