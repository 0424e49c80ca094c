/**
 * The cost of deleted rows in PostgreSQL: sizes of tables and indexes, rows that are dead and not yet vacuumed, runs
 * of autovacuum, and how long the store takes to forget. Days at 500 events per second, made smaller: the store's own code
 * commits and acknowledges single events at a higher rate and with a clock to match, and DEDUPE_HOURS is so short that its
 * events fit. Once with the server's defaults, once with what the store sets for its tables.
 *
 *   npx node bench/bloat.ts [events] [window] [rate] [naptime]      # of each run; within DEDUPE_HOURS; a second; in seconds
 *
 * Without a naptime autovacuum checks the tables as often in that clock as by default, once a minute: right for what
 * waits. A day has 1,440 such minutes, so for what was seen the naptime is to be as short as it can be: 1.
 *
 * Not made smaller: the pauses that autovacuum makes for others, which therefore slow it more than they would. A server of
 * its own, in memory where there is room: so it says nothing of disks.
 */
import { dedupeKeys } from '../src/store/core/sealed.ts'
import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { openPostgres } from '../test/support/stores.ts'
import type { NewBatch, Store } from '../src/store/store.ts'
import { startStoppablePostgres, type PostgresServer } from '../test/support/postgres.ts'
import { joinEvents, postedAs } from '../test/support/payload.ts'

const EVENT_BYTES = 1000
const EVENTS_PER_S = 500
/** By default. */
const NAPTIME_S = 60
/** Posts that come together, and are acknowledged when the next ones have come. */
const POSTS = 200
/** A day has so many times ten minutes, which is how often the relay forgets. */
const FORGETS_PER_WINDOW = 144
const TABLES = ['dedupe', 'batches', 'totals', 'owners']
const SAMPLES_PER_RUN = 40
const DEAD_ROWS = 1_000_000

const eventCount = Number(process.argv[2] ?? 1_000_000)
const windowEvents = Number(process.argv[3] ?? 300_000)
const rate = Number(process.argv[4] ?? 4000)

const server = await startStoppablePostgres()
try {
  const naptimeS = Number(process.argv[5] ?? Math.round((NAPTIME_S * EVENTS_PER_S) / rate))
  await server.ask(`ALTER SYSTEM SET autovacuum_naptime = ${naptimeS}`)
  await server.ask('SELECT pg_reload_conf()')
  for (const settings of ['server', 'schema'] as const) {
    const rows = await measure(server, settings)
    process.stdout.write(rows.map((row) => `${JSON.stringify({ settings, naptimeS, ...row })}\n`).join(''))
  }
  process.stdout.write(`${JSON.stringify(await passOverDead(server))}\n`)
} finally {
  await server.close()
}

async function measure(
  on: PostgresServer,
  settings: 'server' | 'schema',
): Promise<readonly Record<string, unknown>[]> {
  const url = await on.createDatabase()
  const opened = await openPostgres({ url, masterKeys: { current: randomBytes(32) } })
  const { store } = opened
  try {
    if (settings === 'server') await resetTables(on, url)
    const most = new Map<string, { dead: number; bytes: number }>()
    const forgetMs: number[] = []
    const sample = async () => {
      for (const { name, dead, bytes } of await sampleTables(on, url)) {
        const known = most.get(name) ?? { dead: 0, bytes: 0 }
        most.set(name, { dead: Math.max(known.dead, dead), bytes: Math.max(known.bytes, bytes) })
      }
    }
    const heldRate = await churn(store, forgetMs, sample)
    const late = forgetMs.slice(-FORGETS_PER_WINDOW)
    const run = {
      'events per second': Math.round(heldRate),
      'ms to forget, mean': Math.round(late.reduce((sum, ms) => sum + ms, 0) / late.length),
      'ms to forget, most': Math.round(Math.max(...late)),
    }
    const tables = (await sampleTables(on, url)).map((table) => ({ ...table, most: most.get(table.name) }))
    return [run, ...tables, ...(await indexesOf(on, url))]
  } finally {
    await opened.close()
  }
}

/**
 * The search for what to forget begins with the oldest and skips what was deleted since the last vacuum: the first
 * time by reading each row, as after a failover, later by marks in the index.
 */
async function passOverDead(on: PostgresServer): Promise<Record<string, unknown>> {
  const url = await on.createDatabase()
  const opened = await openPostgres({ url, masterKeys: { current: randomBytes(32) } })
  const { store } = opened
  try {
    await on.ask('ALTER TABLE pinrelay.dedupe SET (autovacuum_enabled = false)', [], url)
    await on.ask(
      `INSERT INTO pinrelay.dedupe SELECT md5(n::text)::uuid, 0, n FROM generate_series(1, ${DEAD_ROWS}) AS n`,
      [],
      url,
    )
    await on.ask('DELETE FROM pinrelay.dedupe', [], url)
    const times = []
    for (let round = 0; round < 3; round += 1) {
      const askedMs = performance.now()
      await store.trimDedupe(DEAD_ROWS)
      times.push(Math.round(performance.now() - askedMs))
    }
    return { dead: DEAD_ROWS, 'ms to pass over them, first, second, third time': times }
  } finally {
    await opened.close()
  }
}

/** Answers the rate that was reached. */
async function churn(store: Store, forgetMs: number[], sample: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  const firstMs = Date.now() - (eventCount / EVENTS_PER_S) * 1000
  const every = (events: number) => Math.max(POSTS, Math.round(events / POSTS) * POSTS)
  const forgetEvery = every(windowEvents / FORGETS_PER_WINDOW)
  const sampleEvery = every(eventCount / SAMPLES_PER_RUN)
  let waiting: number[] = []
  for (let done = 0; done < eventCount; done += POSTS) {
    const nowMs = firstMs + (done / EVENTS_PER_S) * 1000
    const acknowledged = waiting.map(
      (batchId) => ({ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: nowMs }) as const,
    )
    const [receipts] = await Promise.all([
      Promise.all(Array.from({ length: POSTS }, () => store.commit(makeBatch(nowMs)))),
      store.acknowledge(acknowledged),
    ])
    waiting = receipts.map(({ batch }) => batch!.batchId)
    if (done % forgetEvery === 0) {
      const askedMs = performance.now()
      await store.trimDedupe(nowMs - (windowEvents / EVENTS_PER_S) * 1000)
      forgetMs.push(performance.now() - askedMs)
    }
    if (done % sampleEvery === 0) await sample()
    await delay(Math.max(0, startedMs + (done / rate) * 1000 - performance.now()))
  }
  return eventCount / ((performance.now() - startedMs) / 1000)
}

function makeBatch(receivedAtMs: number): NewBatch {
  const eventTimeS = Math.floor(receivedAtMs / 1000)
  const eventId = randomUUID()
  const text = JSON.stringify({ event_id: eventId, em: '' })
  const queue = { adAccountId: '549755885175', isTest: false }
  const events = [{ eventName: 'checkout', eventId, eventTimeS }]
  return {
    ...queue,
    payload: joinEvents([text.replace('""', `"${'0'.repeat(EVENT_BYTES - text.length)}"`)]),
    events: events.map(postedAs),
    keys: dedupeKeys(queue, events),
    receivedAtMs,
  }
}

/** What the store sets for autovacuum, undone. */
async function resetTables(on: PostgresServer, url: string): Promise<void> {
  const rows = await on.ask<{ name: string; option: string }>(
    `SELECT relname AS name, split_part(unnest(reloptions), '=', 1) AS option FROM pg_class
     WHERE relnamespace = 'pinrelay'::regnamespace AND relkind = 'r'`,
    [],
    url,
  )
  for (const { name, option } of rows) {
    if (option.startsWith('autovacuum_'))
      await on.ask(`ALTER TABLE pinrelay.${name} RESET (${option})`, [], url)
  }
}

interface TableSample {
  readonly name: string
  readonly live: number
  readonly dead: number
  /** With indexes and what is stored apart. */
  readonly bytes: number
  readonly autovacuums: number
}

async function sampleTables(on: PostgresServer, url: string): Promise<TableSample[]> {
  return on.ask<TableSample & Record<string, unknown>>(
    `SELECT relname AS name, n_live_tup::float AS live, n_dead_tup::float AS dead,
       pg_total_relation_size(relid)::float AS bytes, autovacuum_count::float AS autovacuums
     FROM pg_stat_user_tables WHERE schemaname = 'pinrelay' AND relname = ANY($1) ORDER BY relname`,
    [TABLES],
    url,
  )
}

async function indexesOf(on: PostgresServer, url: string): Promise<Record<string, unknown>[]> {
  return on.ask(
    `SELECT indexrelname AS name, pg_relation_size(indexrelid)::float AS bytes FROM pg_stat_user_indexes
     WHERE schemaname = 'pinrelay' AND relname = ANY($1) ORDER BY indexrelname`,
    [['dedupe', 'batches']],
    url,
  )
}
