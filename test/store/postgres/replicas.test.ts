/** Several replicas on one database: who wins, who takes over, and what a broken wire leaves behind. */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import type { SharedChange } from '../../../src/store/shared.ts'
import { waitingSql } from '../../../src/store/postgres/lease.ts'
import { startPostgres, startStoppablePostgres } from '../../support/postgres.ts'
import { askAll, LIVE, makeDead, makeParcel, NOW_MS, NOW_S } from '../parcels.ts'
import { layGround, type PostgresGround } from './ground.ts'

const server = await startPostgres()
t.teardown(() => server.close())

/** No heartbeat comes by itself: time stands still until a test says otherwise. */
const BEATLESS = { heartbeatMs: 3_600_000 }
const STILL = { ...BEATLESS, leaseMs: 3_600_000 }
/** Takes others for dead soon. */
const WATCHFUL = { heartbeatMs: 40, leaseMs: 400 }
const whole = (parcelId: number) => [{ parcelId, delivered: 'rest' as const, dead: [], settledAtMs: NOW_MS }]

t.test('replicas that start at the same time make the tables once', async (t) => {
  const ground = await layGround(t, server)
  await ground.ask('DROP SCHEMA IF EXISTS pinrelay CASCADE')
  const opened = await Promise.all([ground.open(), ground.open(), ground.open(), ground.open()])
  const replicas = await opened[0].shared.replicas()
  t.equal(replicas.length, 4)
  t.equal(replicas.filter(({ isSelf }) => isSelf).length, 1)
})

t.test('newer tables are left alone', async (t) => {
  const ground = await layGround(t, server)
  await (await ground.open()).close()
  await ground.ask('UPDATE pinrelay.schema_version SET version = version + 98')
  t.teardown(() => ground.ask('UPDATE pinrelay.schema_version SET version = version - 98'))
  await t.rejects(ground.open(), { code: 'STORE_TOO_NEW' })
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
      one.store.commit(makeParcel(ids)),
      two.store.commit(makeParcel(ids.toReversed())),
    ])
    const stored = receipts.filter(({ parcelId }) => parcelId !== undefined)
    t.equal(stored.length, 1)
    t.same(receipts.find(({ parcelId }) => parcelId === undefined)?.pendingDuplicates, 2)
  }
  t.match(await one.store.books({}), { received: 32, queued: 16, duplicate: 16 })
})

t.test('parcels are shared, and handed out once', async (t) => {
  const ground = await layGround(t, server)
  const first = await ground.open()
  await Promise.all(Array.from({ length: 40 }, (_, n) => first.store.commit(makeParcel([`e${n}`]))))
  await first.close()
  const [one, two] = [await ground.open(), await ground.open()]
  const leased = []
  for (let n = 0; n < 10; n++) {
    const both = await Promise.all([one, two].map(({ store }) => store.lease(askAll({ maxEvents: 3 }))))
    leased.push(...both.flat())
  }
  t.equal(leased.length, 40)
  t.equal(new Set(leased.map(({ parcelId }) => parcelId)).size, 40)
})

t.test('a dead replica loses its parcels, and what it says too late changes nothing', async (t) => {
  const ground = await layGround(t, server)
  const stalled = await ground.open({ ...STILL, name: 'stalled' })
  const { parcelId } = await stalled.store.commit(makeParcel(['a', 'b']))
  await ground.ask(
    `UPDATE pinrelay.owners SET heartbeat_at = clock_timestamp() - interval '20 seconds' WHERE name = 'stalled'`,
  )
  const fresh = await ground.open({ ...WATCHFUL, ...BEATLESS, name: 'fresh' })
  t.same(await fresh.store.lease(askAll()), [], 'not before it was heard of itself for that long')
  const other = await ground.open({ ...WATCHFUL, name: 'other' })
  await until(async () => (await waiting(ground)) === 1)
  t.match(await other.store.lease(askAll()), [{ parcelId }])
  const patient = await ground.open(STILL)
  const alive = await patient.shared.replicas()
  t.notOk(alive.some(({ name }) => name === 'stalled'))
  await stalled.store.settle([
    { parcelId: parcelId!, delivered: [], dead: [makeDead(0)], settledAtMs: NOW_MS },
  ])
  await stalled.store.settle(whole(parcelId!))
  await stalled.store.release([{ parcelId: parcelId!, attempts: 9, history: [] }])
  t.match(await other.store.books({}), { received: 2, queued: 2, delivered: 0, rejected: 0 })
  t.same(await other.store.deadLetters({ limit: 1 }), [])
  t.same(await stalled.store.lease(askAll()), [], 'it is not released either')
  await other.store.settle(whole(parcelId!))
  t.match(await other.store.books({}), { delivered: 2, queued: 0 })
})

t.test('one that was taken for dead goes on under a new number', async (t) => {
  const ground = await layGround(t, server)
  const one = await ground.open(STILL)
  const [before] = await one.shared.replicas()
  const { parcelId } = await one.store.commit(makeParcel(['a']))
  await ground.ask('UPDATE pinrelay.owners SET dead_at = clock_timestamp()')
  await one.store.commit(makeParcel(['b']))
  const [after] = await one.shared.replicas()
  t.ok(after!.ownerId > before!.ownerId)
  await one.store.settle(whole(parcelId!))
  t.match(
    await one.store.books({}),
    { delivered: 1, queued: 1 },
    'nobody has taken it over: its verdict counts',
  )
})

t.test('heartbeats keep a replica alive, and takeovers go on while it runs', async (t) => {
  const ground = await layGround(t, server)
  const watching = await ground.open({ ...WATCHFUL, name: 'watching' })
  const news: SharedChange[] = []
  watching.shared.onChange((change) => news.push(change))
  const doomed = await ground.open({ ...STILL, name: 'doomed' })
  const { parcelId } = await doomed.store.commit(makeParcel(['a']))
  await ground.ask(
    `UPDATE pinrelay.owners SET heartbeat_at = clock_timestamp() - interval '20 seconds' WHERE name = 'doomed'`,
  )
  await until(() => news.some(({ kind }) => kind === 'lanes'))
  t.same(
    news.find(({ kind }) => kind === 'lanes'),
    { kind: 'lanes', lanes: [LIVE] },
  )
  t.match(await watching.store.lease(askAll()), [{ parcelId }])
  // On a slow machine its own heartbeats may be late at times.
  await until(async () => (await watching.shared.replicas()).map(({ name }) => name).join() === 'watching')
})

t.test('the books of the dead are kept', async (t) => {
  const ground = await layGround(t, server)
  for (const id of ['a', 'b', 'c']) {
    const { store, close } = await ground.open()
    await store.commit(makeParcel([id], { refusedCount: 1 }))
    await close()
  }
  const { store } = await ground.open()
  t.match(await store.books({}), { received: 3, queued: 3, refused: 3 })
  const rows = await ground.ask<{ owner_id: string }>('SELECT owner_id FROM pinrelay.books')
  t.same(rows, [{ owner_id: '0' }])
})

t.test(
  'a commit whose answer is lost is refused, and what it stored is neither lost nor stuck',
  async (t) => {
    const ground = await layGround(t, server)
    const { store } = await ground.open(STILL)
    await store.commit(makeParcel(['before']))
    ground.proxy.cutAnswerTo('COMMIT', 'UPDATE owners SET batch')
    const refused = await Promise.allSettled([store.commit(makeParcel(['a'])), store.countRefused(LIVE, 5)])
    t.match(refused, [{ status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } }, { status: 'fulfilled' }])
    const again = await store.commit(makeParcel(['a']))
    t.same(again, { parcelId: undefined, duplicates: [0], pendingDuplicates: 1 })
    t.match(await store.lease(askAll()), [{ eventCount: 1 }], 'it waits for anybody')
    t.match(await store.books({}), { received: 3, queued: 2, duplicate: 1, refused: 5 }, 'counted once')
  },
)

t.test('a lease whose answer is lost is handed out again', async (t) => {
  const ground = await layGround(t, server)
  const first = await ground.open(STILL)
  const { parcelId } = await first.store.commit(makeParcel(['a']))
  await first.store.release([{ parcelId: parcelId!, attempts: 1, history: [] }])
  ground.proxy.cutAnswerTo('COMMIT', 'UPDATE owners SET batch')
  await t.rejects(first.store.lease(askAll()), { code: 'STORE_UNAVAILABLE' })
  t.match(await first.store.lease(askAll()), [{ parcelId }])
})

t.test('verdicts outlive an outage; posts are refused at once meanwhile', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open(STILL)
  const { parcelId } = await store.commit(makeParcel(['a']))
  const other = await store.commit(makeParcel(['b']))
  ground.proxy.cut()
  const settled = store.settle(whole(parcelId!))
  const released = store.release([{ parcelId: other.parcelId!, attempts: 2, history: [] }])
  await t.rejects(store.commit(makeParcel(['c'])), { code: 'STORE_UNAVAILABLE' }, 'not when it is back')
  await t.rejects(store.books({}), { code: 'STORE_UNAVAILABLE' })
  ground.proxy.mend()
  await Promise.all([settled, released])
  t.match(await store.books({}), { received: 2, delivered: 1, queued: 1 })
  t.match(await store.lease(askAll()), [{ parcelId: other.parcelId, attempts: 2 }])
})

t.test('the database starts again, and the store goes on by itself', async (t) => {
  const server = await startStoppablePostgres()
  t.teardown(() => server.close())
  const ground = await layGround(t, server)
  const { store, vaultStore } = await ground.open(STILL)
  const { parcelId } = await store.commit(makeParcel(['a']))
  await server.stop()
  const settled = store.settle(whole(parcelId!))
  await t.rejects(store.commit(makeParcel(['b'])), { code: 'STORE_UNAVAILABLE' })
  await t.rejects(
    vaultStore.exclusively(() => Promise.resolve()),
    { code: 'STORE_UNAVAILABLE' },
  )
  await server.start()
  await settled
  t.ok((await store.commit(makeParcel(['b']))).parcelId)
  t.match(await store.books({}), { received: 2, delivered: 1, queued: 1 })
})

t.test(
  'news reach the others by notification, and by looking when the listening connection is lost',
  async (t) => {
    const ground = await layGround(t, server)
    const [one, two] = [await ground.open(), await ground.open({ feedPollMs: 50 })]
    const news: SharedChange[] = []
    const byNotice: SharedChange[] = []
    const three = await ground.open({ feedPollMs: 3_600_000 })
    two.shared.onChange((change) => news.push(change))
    three.shared.onChange((change) => byNotice.push(change))
    await until(async () => {
      const rows = await listeners(ground)
      return rows.length === 3
    })
    const { parcelId } = await one.store.commit(makeParcel(['a']))
    await one.store.release([{ parcelId: parcelId!, attempts: 1, history: [] }])
    await until(() => news.length === 1 && byNotice.length === 1)
    t.same(news, [{ kind: 'lanes', lanes: [LIVE] }])

    await ground.ask(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN%'`)
    const gate = { status: 'closed', reason: 'rate_limited', forMs: 600_000 } as const
    await one.shared.putGate(LIVE, gate)
    await one.vaultStore.changeVault({ clients: [{ clientId: 'app', sealedSecret: Buffer.from('x') }] })
    await until(() => news.length === 3)
    t.same(news.slice(1), [{ kind: 'gate', lane: LIVE, gate }, { kind: 'vault' }])
    const [shared] = await two.shared.gates()
    t.match(shared, { lane: LIVE, gate: { status: 'closed', reason: 'rate_limited' } })
    t.ok(shared!.gate.forMs! > 0 && shared!.gate.forMs! <= 600_000)
    await one.shared.putGate(LIVE, { status: 'open', reason: '', forMs: undefined })
    t.same(await two.shared.gates(), [])
  },
)

t.test(
  'near the limit posts are refused, whoever brought what is queued, until some of it is gone',
  async (t) => {
    const ground = await layGround(t, server)
    const one = await ground.open(STILL)
    const large = `x${'y'.repeat(10_000)}`
    const { parcelId } = await one.store.commit(makeParcel([large]))
    const two = await ground.open({ ...STILL, storeLimitBytes: 12_000 })
    await until(async () => (await two.store.size()).isFull)
    await t.rejects(two.store.commit(makeParcel(['a'])), { code: 'STORE_UNAVAILABLE' })
    await one.store.settle(whole(parcelId!))
    await until(async () => !(await two.store.size()).isFull)
    t.ok((await two.store.commit(makeParcel(['a']))).parcelId)
  },
)

t.test('a lease reads as much of a long queue as of a short one', async (t) => {
  const ground = await layGround(t, server)
  await ground.open(STILL)
  await ground.ask(
    `INSERT INTO pinrelay.parcels (parcel_id, ad_account_id, is_test, is_replay, oldest_event_time_s, size_bytes,
       event_count, pending_count, attempts, received_at_ms, sealed)
     SELECT n, (n % 50)::text, false, n % 10 = 0, ${NOW_S} - n % 7000, 100, 1, 1, 0, ${NOW_MS}, 'x'
     FROM generate_series(1, 10000) AS n`,
  )
  await ground.ask('ANALYZE pinrelay.parcels')
  const sql = waitingSql().replaceAll('parcels', 'pinrelay.parcels')
  const plan = await ground.ask<{ 'QUERY PLAN': readonly { Plan: PlanNode }[] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`,
    ['7', false, NOW_S - 3600, -1e15, 0, 20],
  )
  const nodes = flatten(plan[0]!['QUERY PLAN'][0]!.Plan)
  t.ok(nodes.some((node) => node['Index Name'] === 'parcels_waiting'))
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
  const rows = await ground.ask('SELECT 1 FROM pinrelay.parcels WHERE owner_id IS NULL')
  return rows.length
}

function listeners(ground: PostgresGround) {
  return ground.ask(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`,
  )
}

/** It has to come by itself: no clock of these tests can be set. What never comes is ended by the runner. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(10)
}
