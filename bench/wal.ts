/**
 * What an event costs PostgreSQL: bytes of write-ahead log, CPU of the server's processes (Linux only) and of this one, and
 * what stays in the index of what was seen. No rates: ratios that hold on a busy machine too. Needs no Pinterest and no HTTP.
 *
 *   npx node bench/wal.ts [events] [seen]      # each row commits and acknowledges so many, after so many others were seen
 *
 * DATABASE_URL_TEST names another server than one of its own.
 */
import { dedupeKeys } from '../src/store/core/sealed.ts'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { openPostgres } from '../test/support/stores.ts'
import type { NewBatch, Store } from '../src/store/store.ts'
import { startPostgres, type PostgresServer } from '../test/support/postgres.ts'
import { joinEvents, postedAs } from '../test/support/payload.ts'

const EVENT_BYTES = 1000
/** Posts that wait for their commit at the same time. */
const CONNECTIONS = 100
const CLOCK_TICKS_PER_SECOND = 100
const EVENTS_PER_POST = [1, 10, 100]

const eventCount = Number(process.argv[2] ?? 50_000)
const seenBefore = Number(process.argv[3] ?? 0)
const server = await startPostgres()
try {
  const rows = []
  for (const eventsPerPost of EVENTS_PER_POST) rows.push(await measure(server, eventsPerPost))
  process.stdout.write(`${rows.map((row) => JSON.stringify(row)).join('\n')}\n`)
} finally {
  await server.close()
}

async function measure(on: PostgresServer, eventsPerPost: number): Promise<Record<string, number>> {
  const url = await on.createDatabase()
  const opened = await openPostgres({ url, masterKeys: { current: randomBytes(32) } })
  const { store } = opened
  try {
    await on.ask(
      `INSERT INTO pinrelay.dedupe SELECT md5(n::text)::uuid, 0, 0 FROM generate_series(1, $1::bigint) AS n`,
      [seenBefore],
      url,
    )
    // From here on the first change of each page writes the whole page to the log.
    await on.ask('CHECKPOINT', [], url)
    const before = await readCosts(on, url)
    const batchIds = await commitAll(store, eventsPerPost)
    const committed = await readCosts(on, url)
    await acknowledgeAll(store, batchIds)
    const acknowledged = await readCosts(on, url)
    const [seen] = await on.ask<{ bytes: string }>(
      `SELECT pg_total_relation_size('pinrelay.dedupe') AS bytes`,
      [],
      url,
    )
    const each = (amount: number) => Math.round((amount / eventCount) * 10) / 10
    return {
      'events per post': eventsPerPost,
      'WAL bytes, commit': each(committed.walBytes - before.walBytes),
      'WAL bytes, acknowledge': each(acknowledged.walBytes - committed.walBytes),
      'server CPU µs, commit': each((committed.cpuS - before.cpuS) * 1e6),
      'server CPU µs, acknowledge': each((acknowledged.cpuS - committed.cpuS) * 1e6),
      'relay CPU µs, commit': each(committed.ownUs - before.ownUs),
      'relay CPU µs, acknowledge': each(acknowledged.ownUs - committed.ownUs),
      'bytes of one that was seen': Math.round(Number(seen!.bytes) / (eventCount + seenBefore)),
    }
  } finally {
    await opened.close()
  }
}

async function commitAll(store: Store, eventsPerPost: number): Promise<number[]> {
  const batchIds: number[] = []
  let left = eventCount / eventsPerPost
  const connection = async () => {
    for (; left > 0;) {
      left -= 1
      const { batchId } = (await store.commit(makeBatch(eventsPerPost))).batch!
      batchIds.push(batchId)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, connection))
  return batchIds
}

/** As calls bring them: a thousand events, or a hundred batches at a time. */
async function acknowledgeAll(store: Store, batchIds: readonly number[]): Promise<void> {
  for (let start = 0; start < batchIds.length; start += CONNECTIONS) {
    const acknowledgedAtMs = Date.now()
    await store.acknowledge(
      batchIds
        .slice(start, start + CONNECTIONS)
        .map((batchId) => ({ batchId, delivered: 'rest', dead: [], acknowledgedAtMs })),
    )
  }
}

function makeBatch(eventsPerPost: number): NewBatch {
  const eventTimeS = Math.floor(Date.now() / 1000)
  const events = Array.from({ length: eventsPerPost }, () => ({
    eventName: 'checkout',
    eventId: randomUUID(),
    eventTimeS,
  }))
  const texts = events.map(({ eventId }) => JSON.stringify({ event_id: eventId, em: '' }))
  const queue = { adAccountId: '549755885175', isTest: false }
  return {
    ...queue,
    payload: joinEvents(
      texts.map((text) => text.replace('""', `"${'0'.repeat(EVENT_BYTES - text.length)}"`)),
    ),
    events: events.map(postedAs),
    keys: dedupeKeys(queue, events),
    receivedAtMs: Date.now(),
  }
}

async function readCosts(
  on: PostgresServer,
  url: string,
): Promise<{ walBytes: number; cpuS: number; ownUs: number }> {
  const { user, system } = process.cpuUsage()
  const processes = await on.ask<{ pid: number }>('SELECT pid FROM pg_stat_activity', [], url)
  const [wal] = await on.ask<{ bytes: string }>(
    `SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS bytes`,
    [],
    url,
  )
  return {
    ownUs: user + system,
    walBytes: Number(wal!.bytes),
    cpuS: processes.reduce((sum, { pid }) => sum + cpuSecondsOf(pid), 0),
  }
}

/** proc(5): utime and stime, in clock ticks. A process that has ended, or is elsewhere, counts as nothing. */
function cpuSecondsOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND
  } catch {
    return 0
  }
}
