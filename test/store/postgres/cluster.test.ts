/** On a cluster that its tests may change: a standby that is away, hosts that take no writes, TLS, sockets, a full tablespace. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { openPostgres, type OpenedPostgres, type PostgresOptions } from '../../support/stores.ts'
import type { StoreProblem } from '../../../src/store/engine/operations.ts'
import { until } from '../../support/clock.ts'
import { catchDeadlines } from '../../support/deadlines.ts'
import { makeCertificate } from '../../support/certificate.ts'
import { debianPostgresMissing } from '../../support/debian-postgres.ts'
import { rawEvent } from '../../support/events.ts'
import { startPostgres } from '../../support/postgres.ts'
import { ACCOUNT, setUp } from '../../support/relay.ts'
import { mountSmallDisk } from '../../support/small-disk.ts'
import { makeBatch } from '../batches.ts'
import { giveTo, shareCluster, startStandby } from './cluster.ts'

const skip = debianPostgresMissing()
// Nobody asks for it where all is skipped.
const cluster = skip ? (undefined as never) : await shareCluster()

const masterKeys = { current: randomBytes(32) }
const STILL = { heartbeatMs: 3_600_000, leaseMs: 3_600_000, feedPollMs: 3_600_000 }

async function open(t: Test, url: string, options: Partial<PostgresOptions> = {}): Promise<OpenedPostgres> {
  const opened = await openPostgres({ url, masterKeys, ...STILL, ...options })
  t.teardown(() => opened.close())
  return opened
}

const isTaken = (commit: Promise<unknown>) =>
  commit.then(
    () => true,
    () => false,
  )

/** Each post once. One that was refused may have been stored, and is a duplicate when it is posted again: so may one that a slow machine cuts off. */
async function keepsOnce(t: Test, { store }: Pick<OpenedPostgres, 'store'>, queued: number): Promise<void> {
  const totals = await store.totals({})
  t.match(totals, { queued, received: queued + totals.duplicate })
}

/** The standby has all that was written. */
async function caughtUp(standby: number, database: string): Promise<void> {
  const [written] = await cluster.ask<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
  await until(async () => {
    const sql = `SELECT pg_last_wal_replay_lsn() >= '${written!.lsn}' AS is_there`
    return (await cluster.ask<{ is_there: boolean }>(sql, database, standby))[0]!.is_there
  })
}

/** A relay on the old one of two primaries, whose commits wait for a standby that is gone. */
async function splitBrain(t: Test) {
  const database = await cluster.createDatabase()
  const other = await startStandby(t, cluster)
  const [login] = cluster.base.split('@')
  const url = `${login}@127.0.0.1:${cluster.port},127.0.0.1:${other}/${database}`
  const { store, vaultStore } = await open(t, url, { vitalStatementMs: 500 })
  await until(() => isTaken(store.commit(makeBatch(['before']))))
  await caughtUp(other, database)
  await cluster.ask('SELECT pg_promote()', database, other)
  await cluster.reload({ synchronous_standby_names: 'absent' })
  t.teardown(() => cluster.reload({ synchronous_standby_names: '' }))
  return { url, store, vaultStore, database, other }
}

/** Cancels whoever waits for the standby with this query; answers how many. */
async function cancelWaits(query = 'COMMIT'): Promise<number> {
  const cancelled = await cluster.ask(
    `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '${query}%'`,
  )
  return cancelled.length
}

/** Once somebody does. */
async function cancelWait(query?: string): Promise<void> {
  await until(async () => (await cancelWaits(query)) > 0)
}

void t.test(
  'while the synchronous standby is away, no commit is answered, however its wait ends',
  { skip },
  async (t) => {
    const database = await cluster.createDatabase()
    // As a role may have it: the warning would not be sent.
    await cluster.ask(`ALTER DATABASE ${database} SET client_min_messages = 'error'`)
    const problems: StoreProblem[] = []
    const { store, vaultStore, shared } = await open(t, `${cluster.base}/${database}`, {
      onProblem: (problem) => problems.push(problem),
    })
    const unavailable = { code: 'STORE_UNAVAILABLE' }
    await cluster.reload({ synchronous_standby_names: 'absent' })
    t.teardown(() => cluster.reload({ synchronous_standby_names: '' }))

    const events = makeBatch(['in doubt'])
    await Promise.all([t.rejects(store.commit(events), unavailable), cancelWait()])
    t.match(problems, [{ problem: 'commit_in_doubt' }])
    // It has to find out first what became of the one before, and that waits as well.
    await Promise.all([t.rejects(store.commit(makeBatch(['next'])), unavailable), cancelWait()])
    const document = { kind: 'key', id: '1', body: Buffer.alloc(32) }
    const change = vaultStore.changeVault(() => [document])
    await Promise.all([t.rejects(change, unavailable), cancelWait()])
    await Promise.all([t.rejects(vaultStore.claim('one'), unavailable), cancelWait()])
    const breaker = { status: 'closed', reason: '', forMs: 0 } as const
    const queue = { adAccountId: '1', isTest: false }
    await Promise.all([t.rejects(shared.putBreaker(queue, breaker), unavailable), cancelWait()])
    const tokens = { capacity: 9, refillPerMinute: 9, wanted: 1, holding: 0, unused: 0 }
    const bucket = { kind: 'post_limiter' as const, adAccountId: '1', ...tokens }
    await Promise.all([t.rejects(shared.exchange([bucket]), unavailable), cancelWait()])
    const acknowledged = store.acknowledge([{ batchId: 9, delivered: 'rest', dead: [], acknowledgedAtMs: 0 }])
    await cancelWait()
    t.match(await store.size(), { isWritable: false }, 'and it is not ready')

    await cluster.reload({ synchronous_standby_names: '' })
    await t.resolves(acknowledged, 'tried again until it was written')
    t.match(
      await store.commit(events),
      { batch: undefined, pendingDuplicates: 1 },
      'it was kept all the same',
    )
    t.match(await store.totals({}), { received: 2, queued: 1, duplicate: 1 })
    await until(async () => (await store.size()).isWritable)
  },
)

void t.test('nor where nobody ends the wait but a time limit of the relay', { skip }, async (t) => {
  const database = await cluster.createDatabase()
  const { store } = await open(t, `${cluster.base}/${database}`, { vitalStatementMs: 500 })
  await cluster.reload({ synchronous_standby_names: 'absent' })
  t.teardown(() => cluster.reload({ synchronous_standby_names: '' }))
  await t.rejects(store.commit(makeBatch(['late'])), { code: 'STORE_UNAVAILABLE' })
  t.match(await store.size(), { isWritable: false }, 'and it is not ready')
  await cluster.reload({ synchronous_standby_names: '' })
  await until(() => isTaken(store.commit(makeBatch(['late']))))
  await keepsOnce(t, { store }, 1)
})

void t.test('a start waits no longer for the standby than any commit', { skip }, async (t) => {
  const database = await cluster.createDatabase()
  await cluster.reload({ synchronous_standby_names: 'absent' })
  t.teardown(() => cluster.reload({ synchronous_standby_names: '' }))
  const limits = catchDeadlines(t, 15_000, 60_000)
  const opening = t.rejects(open(t, `${cluster.base}/${database}`), {
    code: 'STORE_CANNOT_OPEN',
    message: /was not confirmed/,
  })
  const waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
  await until(async () => (await cluster.ask(waiting)).length > 0)
  limits.fire()
  await opening
})

void t.test(
  'a server that stops syncing its commits while the relay runs is noticed',
  { skip },
  async (t) => {
    const database = await cluster.createDatabase()
    const { store } = await open(t, `${cluster.base}/${database}`)
    await store.commit(makeBatch(['before']))
    await cluster.reload({ synchronous_commit: 'off' })
    t.teardown(() => cluster.reload({ synchronous_commit: 'on' }))
    await t.rejects(store.commit(makeBatch(['meanwhile'])), { code: 'STORE_UNAVAILABLE' })
    await t.rejects(store.size(), { code: 'STORE_UNAVAILABLE' }, 'and it is not ready')
    await cluster.reload({ synchronous_commit: 'on' })
    await until(() => isTaken(store.commit(makeBatch(['after']))))
    t.match(await store.totals({}), { received: 2 })
  },
)

void t.test(
  'of several hosts the one that takes writes is used, also when it is another one later',
  { skip },
  async (t) => {
    const database = await cluster.createDatabase()
    const standby = await startStandby(t, cluster)
    const [login] = cluster.base.split('@')
    const url = (...ports: number[]) =>
      `${login}@${ports.map((port) => `127.0.0.1:${port}`).join(',')}/${database}?target_session_attrs=read-write`
    const { store } = await open(t, url(1, standby, cluster.port))
    await t.resolves(store.commit(makeBatch(['first'])))
    for (const ports of [[standby], [1, standby]]) {
      await t.rejects(open(t, url(...ports)), { code: 'STORE_CANNOT_OPEN', message: /standby or read only/ })
    }
    await t.rejects(open(t, url(1)), { code: 'STORE_CANNOT_OPEN', message: /ECONNREFUSED/ })

    await caughtUp(standby, database)
    await cluster.reload({ default_transaction_read_only: 'on' })
    t.teardown(() => cluster.reload({ default_transaction_read_only: 'off' }))
    await cluster.ask('SELECT pg_promote()', database, standby)
    await until(() => isTaken(store.commit(makeBatch(['second']))))
    t.match(await store.totals({}), { received: 2 }, 'what is idle leads to the other one, and is not used')
    t.equal((await cluster.ask('SELECT 1 FROM pinrelay.batches', database, standby)).length, 2)
    t.equal((await cluster.ask('SELECT 1 FROM pinrelay.batches', database)).length, 1)
  },
)

void t.test(
  'ids of batches that a failover has lost are given to no other one, also by a replica that lost nothing',
  { skip },
  async (t) => {
    const database = await cluster.createDatabase()
    const standby = await startStandby(t, cluster)
    const [login] = cluster.base.split('@')
    const url = `${login}@127.0.0.1:${cluster.port},127.0.0.1:${standby}/${database}`
    const [one, two] = [await open(t, url), await open(t, url)]
    await caughtUp(standby, database)
    // It gets nothing from now on.
    for (const sql of ["ALTER SYSTEM SET primary_conninfo = ''", 'SELECT pg_reload_conf()'])
      await cluster.ask(sql, database, standby)
    await until(
      async () => (await cluster.ask('SELECT FROM pg_stat_wal_receiver', database, standby)).length === 0,
    )
    const commitAll = async ({ store }: OpenedPostgres, name: string) => {
      const batchIds: number[] = []
      // PostgreSQL logs a sequence 32 numbers ahead: the first ones would not be given again.
      for (let n = 0; n < 50; n++)
        batchIds.push((await store.commit(makeBatch([`${name}-${n}`]))).batch!.batchId)
      return batchIds
    }
    const lost = await commitAll(one, 'lost')
    await cluster.reload({ default_transaction_read_only: 'on' })
    t.teardown(() => cluster.reload({ default_transaction_read_only: 'off' }))
    await cluster.ask('SELECT pg_promote()', database, standby)
    await until(() => isTaken(two.store.commit(makeBatch([]))))
    const kept = await commitAll(two, 'kept')
    await two.store.release(kept.map((batchId) => ({ batchId, attempts: 1, history: [] })))
    await one.store.acknowledge(
      lost.map((batchId) => ({ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: Date.now() })),
    )
    t.match(await two.store.totals({}), { received: 50, delivered: 0, queued: 50 })
  },
)

void t.test(
  'of two primaries the one that confirms its commits is used, by all connections and from the start',
  { skip },
  async (t) => {
    const { url, store } = await splitBrain(t)
    await t.rejects(store.commit(makeBatch(['in doubt'])), { code: 'STORE_UNAVAILABLE' })
    await until(() => isTaken(store.commit(makeBatch(['after']))))
    // What is read comes from there as well.
    await keepsOnce(t, { store }, 2)

    let isOpen = false
    const opening = open(t, url).finally(() => (isOpen = true))
    await until(async () => {
      await cancelWaits()
      return isOpen
    })
    await keepsOnce(t, await opening, 2)
  },
)

void t.test(
  'a primary whose locks are held by a commit without its standby is left for the other one',
  { skip },
  async (t) => {
    const { store, database, other } = await splitBrain(t)
    // As the heartbeat before it does.
    const held = cluster.ask('UPDATE pinrelay.owners SET heartbeat_at = clock_timestamp()', database)
    await until(async () => {
      const sql = `SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'UPDATE pinrelay.owners%'`
      return (await cluster.ask(sql)).length > 0
    })
    await t.rejects(store.commit(makeBatch(['after'])), { code: 'STORE_UNAVAILABLE' })
    await until(() => isTaken(store.commit(makeBatch(['after']))))
    t.equal((await cluster.ask('SELECT 1 FROM pinrelay.batches', database, other)).length, 2)
    await Promise.all([held, cancelWait('')])
  },
)

void t.test('so it is where nobody posts', { skip }, async (t) => {
  const { vaultStore, database, other } = await splitBrain(t)
  const held = cluster.ask(
    `INSERT INTO pinrelay.claims SELECT 'one', min(owner_id) FROM pinrelay.owners`,
    database,
  )
  await until(async () => {
    const sql = `SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT INTO pinrelay.claims%'`
    return (await cluster.ask(sql)).length > 0
  })
  await t.rejects(vaultStore.claim('one'), { code: 'STORE_UNAVAILABLE' })
  t.equal(await vaultStore.claim('one'), true)
  t.equal((await cluster.ask('SELECT 1 FROM pinrelay.claims', database, other)).length, 1)
  await Promise.all([held, cancelWait('')])
})

void t.test('a connection to a server that takes no writes any more is not kept', { skip }, async (t) => {
  const database = await cluster.createDatabase()
  // Its name may lead to another server by now.
  const { store } = await open(t, `${cluster.base}/${database}`)
  await store.commit(makeBatch(['before']))
  const connections = async () => {
    const sql = `SELECT pid FROM pg_stat_activity WHERE datname = '${database}'`
    return (await cluster.ask<{ pid: number }>(sql)).map(({ pid }) => pid)
  }
  const before = await connections()
  await cluster.reload({ default_transaction_read_only: 'on' })
  t.teardown(() => cluster.reload({ default_transaction_read_only: 'off' }))
  await t.rejects(store.commit(makeBatch(['meanwhile'])), { code: 'STORE_UNAVAILABLE' })
  // That of the feed may only be on its way: as many as before may be others.
  await until(async () => {
    const now = new Set(await connections())
    return before.some((pid) => !now.has(pid))
  })
  t.match(await store.size(), { isWritable: false }, 'and it is not ready')
  await cluster.reload({ default_transaction_read_only: 'off' })
  await until(() => isTaken(store.commit(makeBatch(['after']))))
})

void t.test('a socket', { skip }, async (t) => {
  const database = await cluster.createDatabase()
  const [login] = cluster.base.split('@')
  const { store } = await open(
    t,
    `${login}@${encodeURIComponent(cluster.folder)}:${cluster.port}/${database}?sslmode=verify-full`,
  )
  await t.resolves(store.commit(makeBatch(['over a socket'])))
})

void t.test('sslmode', { skip }, async (t) => {
  const url = `${cluster.base}/${await cluster.createDatabase()}`
  const { cert, key } = makeCertificate(cluster.folder)
  for (const path of [cert, key]) giveTo(cluster.user, path)
  const isEncrypted = async (query: string) => {
    const name = `ssl ${randomBytes(4).toString('hex')}`
    const opened = await openPostgres({ url: url + query, masterKeys, ...STILL, name })
    const [found] = await cluster.ask<{ ssl: boolean }>(
      `SELECT bool_and(ssl) AS ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = '${name}'`,
    )
    await opened.close()
    return found!.ssl
  }
  t.equal(await isEncrypted(''), false, 'prefer, and the server has none')
  await t.rejects(isEncrypted('?sslmode=require'), { message: /does not support SSL/ })

  await cluster.reload({ ssl_cert_file: cert, ssl_key_file: key, ssl: 'on' })
  t.equal(await isEncrypted(''), true, 'prefer, and it has')
  t.equal(await isEncrypted('?sslmode=disable'), false)
  t.equal(await isEncrypted('?sslmode=allow'), false)
  t.equal(await isEncrypted('?sslmode=require'), true, 'without verification')
  await t.rejects(isEncrypted('?sslmode=verify-full'), { message: /certificate/ })
  t.equal(await isEncrypted(`?sslmode=verify-full&sslrootcert=${cert}`), true)
  const byName = (query: string) =>
    isEncrypted(`${query}&sslrootcert=${cert}&host=localhost&port=${cluster.port}`)
  await t.rejects(byName('?sslmode=verify-full'), { message: /altnames/ }, 'the name must be in it')
  t.equal(await byName('?sslmode=verify-ca'), true)
  t.equal(await byName('?sslmode=require'), true)
  await t.rejects(isEncrypted('?sslmode=verify-ca&sslrootcert=/nowhere'), {
    code: 'BAD_SETTINGS',
    message: /^DATABASE_URL: a file of sslrootcert, sslcert, sslkey cannot be read \(ENOENT\)$/,
  })
})

void t.test('a full tablespace: not ready, until something can be written again', { skip }, async (t) => {
  const disk = mountSmallDisk(t, '48m')
  if (disk === undefined) return
  giveTo(cluster.user, disk.folder)
  await cluster.ask(`CREATE TABLESPACE small LOCATION '${disk.folder}'`)
  const database = await cluster.createDatabase('TABLESPACE small')
  t.teardown(async () => {
    await cluster.ask(`DROP DATABASE ${database} WITH (FORCE)`)
    await cluster.ask('DROP TABLESPACE small')
  })
  const { store, close } = await open(t, `${cluster.base}/${database}`)
  await store.commit(makeBatch(['before']))
  t.match(await store.size(), { isFull: false })
  disk.fill()
  const large = () => makeBatch([`${'x'.repeat(60_000)}-${randomBytes(4).toString('hex')}`])
  let invalid = 0
  while (invalid === 0) await store.commit(large()).catch(() => void (invalid += 1))
  t.match(await store.size(), { isFull: true })
  t.equal((await store.totals({})).queued > 0, true, 'and can be read')
  for (let look = 0; look < 5; look++) {
    await delay(20)
    t.match(await store.size(), { isFull: true }, 'the probe fails as well')
  }
  disk.clear()
  await until(async () => !(await store.size()).isFull)
  await t.resolves(store.commit(large()), 'without a restart')
  await close()
})

void t.test(
  'a full tablespace under a whole relay: 503 and not ready while it lasts',
  { skip },
  async (t) => {
    const disk = mountSmallDisk(t, '48m')
    if (disk === undefined) return
    giveTo(cluster.user, disk.folder)
    await cluster.ask(`CREATE TABLESPACE whole LOCATION '${disk.folder}'`)
    const database = await cluster.createDatabase('TABLESPACE whole')
    t.teardown(async () => {
      await cluster.ask(`DROP DATABASE ${database} WITH (FORCE)`)
      await cluster.ask('DROP TABLESPACE whole')
    })
    const stand = await setUp(t, {
      DATABASE_URL: `${cluster.base}/${database}`,
      MASTER_KEY: masterKeys.current.toString('base64'),
    })
    const taken: string[] = []
    const post = async (eventId: string) => {
      const event = rawEvent({ event_id: eventId, event_source_url: `https://x.example/${'y'.repeat(4000)}` })
      const data = [
        event,
        ...Array.from({ length: 14 }, (_, index) => ({ ...event, event_id: `${eventId}-${index}` })),
      ]
      const answer = await stand.post({ data }, { headers: { prefer: 'respond-async' } })
      if (answer.status === 202) taken.push(...data.map(({ event_id: id }) => String(id)))
      return answer
    }
    const isReady = async () => (await fetch(`${stand.relay.publicUrl}/readyz`)).status === 200
    const queued = async () => (await stand.admin('GET', '/totals')).body['queued']
    await stand.admin('POST', `/accounts/${ACCOUNT}/pause`)
    await post('before')

    disk.fill()
    let invalid = await post('0')
    for (let number = 1; invalid.status === 202; number++) invalid = await post(String(number))
    for (const [turn, answer] of [invalid, await post('refused-again')].entries()) {
      t.match(answer, { status: 503, body: { code: 4197 } })
      t.match(answer.headers.get('retry-after'), /^\d+$/)
      if (turn === 0) await until(async () => !(await isReady()))
    }
    t.same(await (await fetch(`${stand.relay.publicUrl}/readyz`)).json(), { status: 'store_full' })
    t.equal(await queued(), taken.length, 'and what waits can be read')

    disk.clear()
    await until(isReady)
    t.equal((await post('after')).status, 202, 'without a restart')
    t.equal((await stand.admin('POST', `/accounts/${ACCOUNT}/resume`)).status, 200)
    await until(async () => (await queued()) === 0)
    const arrived = stand.sandbox.conversions.counts(ACCOUNT)
    t.strictSame(Object.fromEntries(arrived), Object.fromEntries(taken.map((id) => [id, 1])), 'each once')
  },
)

void t.test('tests drop what they created on a server that is not their own', { skip }, async (t) => {
  const given = process.env['DATABASE_URL_TEST']
  process.env['DATABASE_URL_TEST'] = `${cluster.base}/postgres`
  t.teardown(() => {
    if (given === undefined) delete process.env['DATABASE_URL_TEST']
    else process.env['DATABASE_URL_TEST'] = given
  })
  const names = () => cluster.ask("SELECT datname FROM pg_database WHERE datname ~ '^test_[0-9a-f]{12}$'")
  const server = await startPostgres()
  await open(t, await server.createDatabase())
  t.equal((await names()).length, 1)
  await server.close()
  t.strictSame(await names(), [], 'also one that is in use')
})
