/** Several replicas on one database: who wins, who takes over, and what a broken wire leaves behind. */
import { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { waitingSql } from '../../../src/store/core/lease.ts'
import { LARGE_BYTES } from '../../../src/store/engine/work.ts'
import { CONNECT_MS, createPool } from '../../../src/store/postgres/connect.ts'
import { parseDatabaseUrl } from '../../../src/store/postgres/database-url.ts'
import { createHosts } from '../../../src/store/postgres/hosts.ts'
import { catchDeadlines } from '../../support/deadlines.ts'
import { until } from '../../support/clock.ts'
import { startPostgres, startStoppablePostgres } from '../../support/postgres.ts'
import { askAll, LIVE, makeDead, makeBatch, NOW_MS, NOW_S } from '../batches.ts'
import { followNews, layGround, textOf, type PostgresGround } from './ground.ts'

const server = await startPostgres()
t.teardown(() => server.close())

/** No heartbeat comes by itself: time stands still until a test says otherwise. */
const BEATLESS = { heartbeatMs: 3_600_000 }
const STILL = { ...BEATLESS, leaseMs: 3_600_000 }
/** Takes others for dead soon. */
const WATCHFUL = { heartbeatMs: 40, leaseMs: 400 }
const whole = (batchId: number) => [
  { batchId, delivered: 'rest' as const, dead: [], acknowledgedAtMs: NOW_MS },
]

t.test('replicas that start at the same time make the tables once', async (t) => {
  const ground = await layGround(t, server)
  await ground.ask('DROP SCHEMA IF EXISTS pinrelay CASCADE')
  const opened = await Promise.all([ground.open(), ground.open(), ground.open(), ground.open()])
  t.equal(await opened[0].shared.replicas(), 4)
})

t.test('a process that is paused while it opens the database opens it all the same', async (t) => {
  const ground = await layGround(t, server)
  const { query } = pg.Client.prototype
  t.teardown(() => void (pg.Client.prototype.query = query))
  // Longer than any other transaction waits for its client.
  const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3500)
  let pauses = 0
  pg.Client.prototype.query = function paused(this: pg.Client, ...values: unknown[]) {
    const answer = Reflect.apply(query, this, values) as Promise<unknown>
    if (!String(values[0]).includes('pg_advisory_xact_lock') || pauses > 0) return answer as never
    pauses += 1
    return answer.finally(pause) as never
  }
  await t.resolves(ground.open())
  t.equal(pauses, 1)
})

t.test('newer and older tables are left alone', async (t) => {
  const ground = await layGround(t, server)
  await (await ground.open()).close()
  const age = (by: number) => ground.ask(`UPDATE pinrelay.schema_version SET version = version + ${by}`)
  t.teardown(() => age(1))
  await age(98)
  await t.rejects(ground.open(), { code: 'STORE_TOO_NEW' })
  await age(-99)
  await t.rejects(ground.open(), { code: 'STORE_CANNOT_OPEN', message: /schema 2/ })
})

t.test('a server that may forget what it committed is refused', async (t) => {
  const ground = await layGround(t, server)
  const name = new URL(ground.url).pathname.slice(1)
  await ground.ask(`ALTER DATABASE ${name} SET synchronous_commit = off`)
  t.teardown(() => ground.ask(`ALTER DATABASE ${name} RESET synchronous_commit`))
  await t.rejects(ground.open(), { code: 'STORE_CANNOT_OPEN', message: /synchronous_commit = off/ })
})

t.test('of an event that two replicas take at once, exactly one is stored', async (t) => {
  const ground = await layGround(t, server)
  const [one, two] = [await ground.open(), await ground.open()]
  for (let round = 0; round < 8; round++) {
    const ids = [`a${round}`, `b${round}`]
    const receipts = await Promise.all([
      one.store.commit(makeBatch(ids)),
      two.store.commit(makeBatch(ids.toReversed())),
    ])
    const stored = receipts.filter(({ batch }) => batch !== undefined)
    t.equal(stored.length, 1)
    t.same(receipts.find(({ batch }) => batch === undefined)?.pendingDuplicates, 2)
  }
  t.match(await one.store.totals({}), { received: 32, queued: 16, duplicate: 16 })
})

t.test('batches are shared, and handed out once', async (t) => {
  const ground = await layGround(t, server)
  const first = await ground.open()
  await Promise.all(Array.from({ length: 40 }, (_, n) => first.store.commit(makeBatch([`e${n}`]))))
  await first.close()
  const [one, two] = [await ground.open(), await ground.open()]
  const leased = []
  for (let n = 0; n < 10; n++) {
    const both = await Promise.all([one, two].map(({ store }) => store.lease(askAll({ maxEvents: 3 }))))
    leased.push(...both.flat())
  }
  t.equal(leased.length, 40)
  t.equal(new Set(leased.map(({ batchId }) => batchId)).size, 40)
})

t.test('a dead replica loses its batches, and what it says too late changes nothing', async (t) => {
  const ground = await layGround(t, server)
  const stalled = await ground.open({ ...STILL, name: 'stalled' })
  const { batchId } = (await stalled.store.commit(makeBatch(['a', 'b']))).batch!
  await ground.ask(
    `UPDATE pinrelay.owners SET heartbeat_at = clock_timestamp() - interval '20 seconds' WHERE name = 'stalled'`,
  )
  const fresh = await ground.open({ ...WATCHFUL, ...BEATLESS, name: 'fresh' })
  t.same(await fresh.store.lease(askAll()), [], 'not before it was heard of itself for that long')
  const other = await ground.open({ ...WATCHFUL, name: 'other' })
  await until(async () => (await waiting(ground)) === 1)
  // It would take those for dead, too, that come back, whenever a busy machine makes a pause.
  await other.close()
  const patient = await ground.open(STILL)
  t.match(await patient.store.lease(askAll()), [{ batchId }])
  t.same(await ground.ask("SELECT 1 FROM pinrelay.owners WHERE name = 'stalled' AND dead_at IS NULL"), [])
  await stalled.store.acknowledge([{ batchId, delivered: [], dead: [makeDead(0)], acknowledgedAtMs: NOW_MS }])
  await stalled.store.acknowledge(whole(batchId))
  await stalled.store.release([{ batchId, attempts: 9, history: [] }])
  t.match(await patient.store.totals({}), { received: 2, queued: 2, delivered: 0, rejected: 0 })
  t.same(await patient.store.deadLetters({ limit: 1 }), [])
  t.same(await stalled.store.lease(askAll()), [], 'it is not released either')
  await patient.store.acknowledge(whole(batchId))
  t.match(await patient.store.totals({}), { delivered: 2, queued: 0 })
})

t.test('one that was taken for dead continues under a new number', async (t) => {
  const ground = await layGround(t, server)
  const one = await ground.open(STILL)
  const numbers = async () => (await ground.ask('SELECT owner_id FROM pinrelay.owners')).length
  t.equal(await numbers(), 1)
  const { batchId } = (await one.store.commit(makeBatch(['a']))).batch!
  await ground.ask('UPDATE pinrelay.owners SET dead_at = clock_timestamp()')
  await one.store.commit(makeBatch(['b']))
  t.equal(await numbers(), 2)
  await one.store.acknowledge(whole(batchId))
  t.match(
    await one.store.totals({}),
    { delivered: 1, queued: 1 },
    'nobody has taken it over: its outcome counts',
  )
})

t.test('outcomes of batches that a failover has lost are not those of newer ones', async (t) => {
  const ground = await layGround(t, server)
  const problems: string[] = []
  const one = await ground.open({ ...STILL, onProblem: ({ problem }) => void problems.push(problem) })
  const { batchId } = (await one.store.commit(makeBatch(['lost']))).batch!
  const kept = (await one.store.commit(makeBatch(['kept']))).batch!
  // As on a standby that lacked the last two commits.
  await ground.ask('DELETE FROM pinrelay.batches WHERE batch_id = $1', [batchId])
  await ground.ask('UPDATE pinrelay.owners SET commit_number = 0')
  await ground.ask("SELECT setval('pinrelay.batch_ids', $1, false)", [batchId])
  let isTold = false
  one.shared.onChange(({ kind }) => (isTold ||= kind === 'leases_lost'))
  const after = (await one.store.commit(makeBatch(['after']))).batch!
  t.same(problems, ['commits_lost'])
  t.notOk(isTold, 'what is in memory may be lost in the store: it is still sent')
  await one.store.acknowledge([...whole(batchId), ...whole(kept.batchId)])
  const left = await ground.ask('SELECT batch_id FROM pinrelay.batches')
  t.same(left, [{ batch_id: String(after.batchId) }], 'what it has, it may acknowledge')
})

t.test('a host that lacks commits changes nothing where the next one has them', async (t) => {
  const ground = await layGround(t, server)
  const problems: string[] = []
  const { store } = await ground.open({ ...STILL, onProblem: ({ problem }) => void problems.push(problem) })
  await store.commit(makeBatch(['a']))
  const { query } = pg.Client.prototype
  t.teardown(() => void (pg.Client.prototype.query = query))
  const writers = new Set<pg.Client>()
  const asked: boolean[] = []
  pg.Client.prototype.query = function elsewhere(this: pg.Client, ...values: unknown[]) {
    const { text, values: given } = values[0] as { readonly text?: string; readonly values?: unknown[] }
    if (writers.size === 0 && text?.includes('SET commit_number') === true) {
      writers.add(this)
      // As if it had none.
      given![3] = -1
    }
    if (String(values[0]).startsWith('SELECT commit_number')) asked.push(writers.has(this))
    return Reflect.apply(query, this, values) as never
  }
  t.ok((await store.commit(makeBatch(['b']))).batch)
  t.same(asked, [true], 'over the same way')
  t.same(problems, [])
  t.equal((await ground.ask('SELECT 1 FROM pinrelay.owners')).length, 1)
})

t.test('so it is where a heartbeat finds one that lacks the replica', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open({ ...STILL, heartbeatMs: 20 })
  await store.commit(makeBatch(['a']))
  const { query } = pg.Client.prototype
  t.teardown(() => void (pg.Client.prototype.query = query))
  const database = new URL(ground.url).pathname.slice(1)
  let beats = 0
  pg.Client.prototype.query = function elsewhere(this: pg.Client, ...values: unknown[]) {
    const isBeat = textOf(values[0]).startsWith('UPDATE owners SET heartbeat_at')
    // As if there were none.
    if (isBeat && this.database === database && ++beats === 1) values[1] = [-1]
    return Reflect.apply(query, this, values) as never
  }
  await until(() => beats > 1)
  t.equal((await ground.ask('SELECT 1 FROM pinrelay.owners')).length, 1)
})

t.test('a change is news though an id is given again after a failover', async (t) => {
  const ground = await layGround(t, server)
  const [one, two] = [await ground.open(), await ground.open({ feedPollMs: 20 })]
  const news = await followNews(two, one)
  const publish = () =>
    ground.ask(
      `INSERT INTO pinrelay.feed (id, change) OVERRIDING SYSTEM VALUE VALUES (-1, '{"kind":"vault"}')
       ON CONFLICT (id) DO UPDATE SET at = clock_timestamp()`,
    )
  await publish()
  await until(() => news.length === 1)
  await publish()
  await until(() => news.length === 2)
  t.same(news, [{ kind: 'vault' }, { kind: 'vault' }])
})

t.test('heartbeats keep a replica alive, and takeovers continue while it runs', async (t) => {
  const ground = await layGround(t, server)
  const watching = await ground.open({ ...WATCHFUL, feedPollMs: 20, name: 'watching' })
  const doomed = await ground.open({ ...STILL, name: 'doomed' })
  const news = await followNews(watching, doomed)
  const { batchId } = (await doomed.store.commit(makeBatch(['a']))).batch!
  await ground.ask(
    `UPDATE pinrelay.owners SET heartbeat_at = clock_timestamp() - interval '20 seconds' WHERE name = 'doomed'`,
  )
  await until(() => news.some(({ kind }) => kind === 'queues'))
  t.same(
    news.find(({ kind }) => kind === 'queues'),
    { kind: 'queues', queues: [LIVE] },
  )
  t.match(await watching.store.lease(askAll()), [{ batchId }])
  // On a slow machine its own heartbeats may be late at times.
  await until(async () => (await watching.shared.replicas()) === 1)
})

t.test('the totals of the dead are kept, of however many accounts', async (t) => {
  const ground = await layGround(t, server)
  for (const id of ['a', 'b', 'c']) {
    const { store, close } = await ground.open({ hasTrail: false })
    await store.commit(makeBatch([id], { invalidCount: 1 }))
    await close()
  }
  const { store: last } = await ground.open({ ...STILL, hasTrail: false })
  await last.commit(makeBatch(['d'], { invalidCount: 1 }))
  await ground.ask(MANY_ACCOUNTS)
  // So long that it is forgotten.
  await ground.ask("UPDATE pinrelay.owners SET dead_at = clock_timestamp() - interval '301 seconds'")
  const { store } = await ground.open()
  t.match(await store.totals({}), { received: 10_504, queued: 10_504, invalid: 10_504 })
  const rows = await ground.ask('SELECT DISTINCT owner_id FROM pinrelay.totals')
  t.same(rows, [{ owner_id: '0' }])
})

/** As many rows as are merged in more than one step, like the one that there is. */
const MANY_ACCOUNTS = `
  INSERT INTO pinrelay.totals SELECT (copy).* FROM (
    SELECT jsonb_populate_record(totals, jsonb_build_object('ad_account_id', 'other' || n)) AS copy
    FROM pinrelay.totals, generate_series(1, 10500) AS n WHERE owner_id > 0) AS copies`

t.test(
  'a commit whose answer is lost is refused, and what it stored is neither lost nor stuck',
  async (t) => {
    const ground = await layGround(t, server)
    const { store } = await ground.open({ ...STILL, willCrash: true })
    const { batchId } = (await store.commit(makeBatch(['before']))).batch!
    ground.proxy.cutAnswerTo('COMMIT', 'UPDATE owners SET commit_number')
    const settled = await Promise.allSettled([
      store.commit(makeBatch(['a'])),
      store.acknowledge(whole(batchId)),
    ])
    t.match(settled, [{ status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } }, { status: 'fulfilled' }])
    const again = await store.commit(makeBatch(['a']))
    t.same(again, { batch: undefined, duplicates: [0], pendingDuplicates: 1 })
    t.match(await store.lease(askAll()), [{ eventCount: 1 }], 'it waits for anybody')
    t.match(await store.totals({}), { received: 3, delivered: 1, queued: 1, duplicate: 1 }, 'counted once')
  },
)

t.test('a lease whose answer is lost is handed out again', async (t) => {
  const ground = await layGround(t, server)
  const first = await ground.open({ ...STILL, willCrash: true })
  const { batchId } = (await first.store.commit(makeBatch(['a']))).batch!
  await first.store.release([{ batchId, attempts: 1, history: [] }])
  ground.proxy.cutAnswerTo('COMMIT', 'UPDATE owners SET commit_number')
  await t.rejects(first.store.lease(askAll()), { code: 'STORE_UNAVAILABLE' })
  t.match(await first.store.lease(askAll()), [{ batchId }])
})

t.test('outcomes outlive an outage; posts are refused at once meanwhile', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open({ ...STILL, willCrash: true })
  const { batchId } = (await store.commit(makeBatch(['a']))).batch!
  const other = await store.commit(makeBatch(['b']))
  ground.proxy.cut()
  const acknowledged = store.acknowledge(whole(batchId))
  const released = store.release([{ batchId: other.batch!.batchId, attempts: 2, history: [] }])
  await t.rejects(store.commit(makeBatch(['c'])), { code: 'STORE_UNAVAILABLE' }, 'not when it is back')
  await t.rejects(store.totals({}), { code: 'STORE_UNAVAILABLE' })
  ground.proxy.mend()
  await Promise.all([acknowledged, released])
  t.match(await store.totals({}), { received: 2, delivered: 1, queued: 1 })
  t.match(await store.lease(askAll()), [{ batchId: other.batch?.batchId, attempts: 2 }])
})

t.test('a database that stops answering holds the end up for some seconds only', async (t) => {
  const ground = await layGround(t, server)
  const stop = new AbortController()
  const { store, close } = await ground.open({ ...STILL, willCrash: true, signal: stop.signal })
  await store.commit(makeBatch(['a']))
  ground.proxy.stall()
  // No limit of a connection or a statement is waited for.
  catchDeadlines(t, CONNECT_MS, Infinity)
  const unavailable = { code: 'STORE_UNAVAILABLE' }
  const read = t.rejects(store.totals({}), unavailable)
  const committed = t.rejects(store.commit(makeBatch(['b'])), unavailable)
  // Both are sent.
  await turn()
  const closed = close()
  stop.abort(new Error('The database did not answer.'))
  await Promise.all([read, committed, closed])
  t.equal(await waiting(ground), 0, 'nobody said that its batch is free')
})

t.test('a connection that is being made when all are cut is cut, too', async (t) => {
  const ground = await layGround(t, server)
  await ground.open({ ...STILL, willCrash: true })
  const at = new URL(ground.url)
  Object.assign(at, { hostname: '127.0.0.1', port: String(ground.proxy.port) })
  const hosts = createHosts(parseDatabaseUrl(at.href))
  const stop = new AbortController()
  const pool = createPool({ hosts, applicationName: 'test', signal: stop.signal }, 1)
  ground.proxy.stall()
  // No limit of a connection is waited for.
  catchDeadlines(t, CONNECT_MS, Infinity)
  // The second waits for the first one's connection, the third comes too late.
  const asked = [pool.query('SELECT 1'), pool.query('SELECT 2')]
  await turn()
  stop.abort(new Error('The database did not answer.'))
  asked.push(pool.query('SELECT 3'))
  const statuses = (await Promise.allSettled(asked)).map(({ status }) => status)
  t.same(statuses, ['rejected', 'rejected', 'rejected'])
  await pool.end()
  // Or the store's own end would wait for its statements' time limit.
  ground.proxy.flow()
})

t.test('tokens wait for a host that has vanished no longer than posts', async (t) => {
  const ground = await layGround(t, server)
  const { shared } = await ground.open({ ...STILL, willCrash: true, vitalStatementMs: 7000 })
  ground.proxy.stall()
  catchDeadlines(t, 10_000, Infinity)
  const limits = catchDeadlines(t, 7000, 9999)
  const tokens = { capacity: 9, refillPerMinute: 9, wanted: 1, holding: 0, unused: 0 }
  const exchanged = shared.exchange([{ kind: 'call_limiter', adAccountId: '1', ...tokens }])
  await turn()
  t.equal(limits.count(), 1)
  limits.fire()
  await t.rejects(exchanged, { code: 'STORE_UNAVAILABLE' })
})

t.test('an idle connection is probed before a load balancer forgets it', async (t) => {
  const ground = await layGround(t, server)
  const { setKeepAlive } = Socket.prototype
  t.teardown(() => void (Socket.prototype.setKeepAlive = setKeepAlive))
  const delays: unknown[] = []
  Socket.prototype.setKeepAlive = function noting(this: Socket, ...values: unknown[]) {
    delays.push(values[1])
    return Reflect.apply(setKeepAlive, this, values) as Socket
  }
  await ground.open()
  t.ok(delays.length > 0 && delays.every((delay) => Number(delay) > 0 && Number(delay) < 240_000))
})

t.test('the database starts again, and the store continues by itself', async (t) => {
  const server = await startStoppablePostgres()
  t.teardown(() => server.close())
  const ground = await layGround(t, server)
  const { store, vaultStore } = await ground.open(STILL)
  const { batchId } = (await store.commit(makeBatch(['a']))).batch!
  await server.stop()
  const acknowledged = store.acknowledge(whole(batchId))
  await t.rejects(store.commit(makeBatch(['b'])), { code: 'STORE_UNAVAILABLE' })
  await t.rejects(
    vaultStore.changeVault(() => []),
    { code: 'STORE_UNAVAILABLE' },
  )
  await server.start()
  await acknowledged
  const after = (await store.commit(makeBatch(['b']))).batch!
  t.ok(after.batchId > batchId + 1e6, 'ids that a server may have lost are passed over')
  t.match(await store.totals({}), { received: 2, delivered: 1, queued: 1 })
})

t.test('news reach the others', async (t) => {
  const ground = await layGround(t, server)
  const [one, two] = [await ground.open(), await ground.open({ feedPollMs: 50 })]
  const news = await followNews(two, one)
  const { batchId } = (await one.store.commit(makeBatch(['a']))).batch!
  await one.store.release([{ batchId, attempts: 1, history: [] }])
  const breaker = { status: 'open', reason: 'rate_limited', forMs: 600_000 } as const
  await one.shared.putBreaker(LIVE, breaker)
  const document = { kind: 'client', id: 'app', body: Buffer.from('x') }
  await one.vaultStore.changeVault(() => [document])
  await until(() => news.length === 3)
  t.same(news, [
    { kind: 'queues', queues: [LIVE] },
    { kind: 'breaker', queue: LIVE, breaker },
    { kind: 'vault' },
  ])
  const [shared] = await two.shared.breakers()
  t.match(shared, { queue: LIVE, breaker: { status: 'open', reason: 'rate_limited' } })
  t.ok(shared!.breaker.forMs! > 0 && shared!.breaker.forMs! <= 600_000)
  await one.shared.putBreaker(LIVE, { status: 'closed', reason: '', forMs: undefined })
  t.same(await two.shared.breakers(), [])
})

t.test(
  'near the limit posts are refused, whoever brought what is queued, until some of it is gone',
  async (t) => {
    const ground = await layGround(t, server)
    const one = await ground.open(STILL)
    const large = `x${'y'.repeat(10_000)}`
    const { batchId } = (await one.store.commit(makeBatch([large]))).batch!
    const two = await ground.open({ ...STILL, storeLimitBytes: 12_000 })
    await until(async () => (await two.store.size()).isFull)
    await t.rejects(two.store.commit(makeBatch(['a'])), { code: 'STORE_UNAVAILABLE' })
    await one.store.acknowledge(whole(batchId))
    await until(async () => !(await two.store.size()).isFull)
    t.ok((await two.store.commit(makeBatch(['a']))).batch?.batchId)
  },
)

t.test('a lease reads as much of a long queue as of a short one', async (t) => {
  const ground = await layGround(t, server)
  await ground.open(STILL)
  await ground.ask(
    `INSERT INTO pinrelay.batches (batch_id, ad_account_id, is_test, is_replay, oldest_event_time_s, size_bytes,
       event_count, pending_count, attempts, received_at_ms, sealed)
     SELECT n, (n % 50)::text, false, n % 10 = 0, ${NOW_S} - n % 7000, 100, 1, 1, 0, ${NOW_MS}, 'x'
     FROM generate_series(1, 10000) AS n`,
  )
  await ground.ask('ANALYZE pinrelay.batches')
  const sql = waitingSql({ isReplay: false }).replaceAll('batches', 'pinrelay.batches')
  const plan = await ground.ask<{ 'QUERY PLAN': readonly { Plan: PlanNode }[] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`,
    ['7', false, NOW_S - 3600, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, 20],
  )
  const nodes = flatten(plan[0]!['QUERY PLAN'][0]!.Plan)
  t.ok(nodes.some((node) => node['Index Name'] === 'batches_waiting'))
  t.notOk(nodes.some((node) => node['Node Type'] === 'Sort' || node['Node Type'] === 'Seq Scan'))
  t.ok(nodes.every((node) => node['Actual Rows'] <= 20))
})

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly Plans?: readonly PlanNode[]
}

function flatten(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)]
}

async function waiting(ground: PostgresGround): Promise<number> {
  const rows = await ground.ask('SELECT 1 FROM pinrelay.batches WHERE owner_id IS NULL')
  return rows.length
}

t.test('one by one, nothing runs after a commit in doubt: its batch waits for anybody then', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open(STILL)
  const { batchId } = (await store.commit(makeBatch(['a']))).batch!
  const [refused, inDoubt, after] = await loseAnswerToCommit(ground, () =>
    Promise.allSettled([
      store.acknowledge([{ batchId, delivered: [9], dead: [], acknowledgedAtMs: NOW_MS }]),
      store.commit(makeBatch(['in doubt'])),
      store.commit(makeBatch(['after'])),
    ]),
  )
  t.match(refused, { status: 'rejected', reason: { message: /has no event 9/ } })
  t.match(inDoubt, { status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } })
  t.match(after, { status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } })
  t.equal((await store.lease(askAll())).length, 1, 'the one that was committed')
})

t.test(
  'what a commit in doubt has counted is counted once, also where another group runs first',
  async (t) => {
    const ground = await layGround(t, server)
    const { store } = await ground.open(STILL)
    const { batchId } = (await store.commit(makeBatch(['before']))).batch!
    await loseAnswerToCommit(ground, () =>
      Promise.all([
        store.acknowledge(whole(batchId)),
        // In a group of its own.
        store.commit({ ...makeBatch(['large']), payload: Buffer.alloc(LARGE_BYTES) }),
      ]),
    )
    t.match(await store.totals({}), { received: 2, delivered: 1, queued: 1 })
  },
)

t.test('so it is where the answers to the last statements are lost as well', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open(STILL)
  const { batchId } = (await store.commit(makeBatch(['before']))).batch!
  const [inDoubt] = await loseAnswerToCommit(
    ground,
    () => Promise.allSettled([store.commit(makeBatch(['in doubt'])), store.acknowledge(whole(batchId))]),
    'INSERT INTO trail',
  )
  t.match(inDoubt, { status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } })
  t.match(await store.totals({}), { received: 2, delivered: 1, queued: 1 })
})

t.test('an outcome of a batch that no key opens is refused, and holds nobody up', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open(STILL)
  const { batchId } = (await store.commit(makeBatch(['a']))).batch!
  await ground.ask(`UPDATE pinrelay.batches SET sealed = 'x'`)
  const acknowledgement = { batchId, delivered: [], dead: [makeDead(0)], acknowledgedAtMs: NOW_MS }
  await t.rejects(store.acknowledge([acknowledgement]), { code: 'CANNOT_OPEN' })
  t.ok((await store.commit(makeBatch(['b']))).batch)
})

t.test(
  "a mistake of the relay's own is refused at once, and costs neither the connection nor a host",
  async (t) => {
    const ground = await layGround(t, server)
    const { store, vaultStore } = await ground.open(STILL)
    const connections = async () =>
      ground.ask(
        `SELECT pid FROM pg_stat_activity
       WHERE datname = current_database() AND application_name LIKE 'test%' ORDER BY pid`,
      )
    await store.commit(makeBatch(['a']))
    await vaultStore.changeVault(() => [])
    const before = await connections()
    await t.rejects(store.acknowledge([undefined as never]), TypeError)
    const thrown = new TypeError('in decide')
    await t.rejects(
      vaultStore.changeVault(() => {
        throw thrown
      }),
      thrown,
    )
    t.ok((await store.commit(makeBatch(['b']))).batch)
    t.same(await connections(), before)
  },
)

/**
 * The writer's next COMMIT reaches the server; then its connection ends, without the answers to the statements `from` this one on. Other
 * connections of the relay work on.
 */
async function loseAnswerToCommit<Result>(
  { url }: PostgresGround,
  work: () => Promise<Result>,
  from = 'COMMIT',
): Promise<Result> {
  const { query } = pg.Client.prototype
  const database = new URL(url).pathname.slice(1)
  let isLosing = false
  let isLost = false
  const writers = new WeakSet<pg.Client>()
  pg.Client.prototype.query = function lossy(this: pg.Client, ...values: unknown[]) {
    const answer: unknown = Reflect.apply(query, this, values)
    const text = textOf(values[0])
    if (text.includes('SET commit_number')) writers.add(this)
    if (isLost || this.database !== database || !writers.has(this)) return answer as never
    isLosing ||= text.startsWith(from)
    if (!isLosing) return answer as never
    isLost = text === 'COMMIT'
    return (answer as Promise<unknown>).then(() => {
      throw new Error('Connection terminated unexpectedly')
    }) as never
  }
  try {
    return await work()
  } finally {
    pg.Client.prototype.query = query
  }
}
