/** What the database is asked: as much for many posts, accounts and waiting batches as for few. */
import { setImmediate } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { insert, query, type Steps } from '../../../src/store/core/sql.ts'
import { packArray, type PackedType } from '../../../src/store/postgres/arrays.ts'
import type { Queryable } from '../../../src/store/postgres/connect.ts'
import { createDedupe } from '../../../src/store/postgres/dedupe.ts'
import { run } from '../../../src/store/postgres/run.ts'
import type { Store } from '../../../src/store/store.ts'
import { startPostgres } from '../../support/postgres.ts'
import { askAll, makeBatch, makeDead, NOW_MS, NOW_S } from '../batches.ts'
import { layGround, textOf, type PostgresGround } from './ground.ts'

const server = await startPostgres()
t.teardown(() => server.close())

/** The feed polls in its own time. */
const OF_FEED = /FROM feed\b/

/** Statements to the ground's database while `work` runs; other stores of this process have databases of their own. */
async function count({ url }: PostgresGround, work: () => Promise<unknown>): Promise<number> {
  const { query } = pg.Client.prototype
  const database = new URL(url).pathname.slice(1)
  const statementsOf = new Map<pg.Client, string[]>()
  pg.Client.prototype.query = function counted(this: pg.Client, ...values: unknown[]) {
    if (this.database === database) {
      const statements = statementsOf.get(this) ?? []
      statementsOf.set(this, statements)
      statements.push(textOf(values[0]))
    }
    return Reflect.apply(query, this, values) as never
  }
  try {
    await work()
  } finally {
    pg.Client.prototype.query = query
  }
  return [...statementsOf.values()].flatMap(toTransactions).flatMap(leaveOutFeed).length
}

function toTransactions(statements: readonly string[]): string[][] {
  const transactions: string[][] = [[]]
  for (const statement of statements) {
    if (statement.startsWith('BEGIN')) transactions.push([])
    transactions.at(-1)!.push(statement)
    // What the store asks for now and then beside its transactions (its size, say) is not of the work.
    if (statement === 'COMMIT') transactions.push([])
  }
  return transactions
}

/** One that the feed had begun before, or has only begun, is not whole; the work's own are. */
function leaveOutFeed(transaction: readonly string[]): readonly string[] {
  const isWhole = transaction[0]?.startsWith('BEGIN') === true && transaction.includes('COMMIT')
  return isWhole && !transaction.some((statement) => OF_FEED.test(statement)) ? transaction : []
}

const isNamed = (asked: unknown) => (asked as { readonly name?: string }).name !== undefined

let round = 0
const commitTo = (store: Store, accounts: number) =>
  Promise.all(
    Array.from({ length: accounts }, (_, n) =>
      store.commit(makeBatch([`event-${round++}`], { adAccountId: String(n) })),
    ),
  )

t.test('a post costs a constant number of statements, and many at once no more than one', async (t) => {
  const ground = await layGround(t, server)
  const groups: number[] = []
  const { store } = await ground.open({
    heartbeatMs: 3_600_000,
    feedPollMs: 3_600_000,
    onGroup: ({ operationCount }) => groups.push(operationCount),
  })
  await commitTo(store, 1)
  const forOne = await count(ground, () => commitTo(store, 1))
  const forMany = await count(ground, () => commitTo(store, 500))
  t.equal(groups.at(-1), 500, 'one transaction')
  t.ok(forOne >= 3 && forOne <= 7, `${forOne} statements`)
  t.equal(forMany, forOne)

  const receipts = await commitTo(store, 300)
  const acknowledge = (ids: readonly number[]) =>
    Promise.all(
      ids.map((batchId) =>
        store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }]),
      ),
    )
  const ids = receipts.map(({ batch }) => batch!.batchId)
  const acknowledgedOne = await count(ground, () => acknowledge(ids.slice(0, 1)))
  t.equal(await count(ground, () => acknowledge(ids.slice(1))), acknowledgedOne)
})

t.test('a long queue and many accounts change nothing of it', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open({ heartbeatMs: 3_600_000, feedPollMs: 3_600_000 })
  const work = async () => {
    const [receipt] = await commitTo(store, 1)
    await store.lease(askAll({ adAccountId: '7', maxEvents: 3 }))
    await store.acknowledge([
      { batchId: receipt!.batch!.batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS },
    ])
    await store.backlog()
  }
  await work()
  const few = await count(ground, work)
  await ground.ask(
    `INSERT INTO pinrelay.batches (batch_id, ad_account_id, is_test, is_replay, oldest_event_time_s, size_bytes,
       event_count, pending_count, attempts, received_at_ms, sealed)
     SELECT -n, (n % 1000 + 1000)::text, false, false, ${NOW_S} - n % 7000, 100, 1, 1, 0, ${NOW_MS}, 'x'
     FROM generate_series(1, 5000) AS n`,
  )
  t.equal(await count(ground, work), few)
})

t.test('statements have names only where the session cannot be another one behind a pooler', async (t) => {
  const ground = await layGround(t, server)
  const database = new URL(ground.url).pathname.slice(1)
  const { query: original } = pg.Client.prototype
  t.teardown(() => void (pg.Client.prototype.query = original))
  let named = 0
  pg.Client.prototype.query = function watched(this: pg.Client, ...values: unknown[]) {
    if (this.database === database && isNamed(values[0])) named += 1
    return Reflect.apply(original, this, values) as never
  }
  await commitTo((await ground.open()).store, 1)
  t.ok(named >= 4, `${named} of a commit's statements`)
  // A pooler gives a number of its own.
  Object.defineProperty(pg.Client.prototype, 'processID', { configurable: true, get: () => 1, set() {} })
  t.teardown(() => Reflect.deleteProperty(pg.Client.prototype, 'processID'))
  named = 0
  await commitTo((await ground.open()).store, 1)
  t.equal(named, 0)
})

t.test(
  'a transaction fails as its first statement that fails, though the next ones were sent already',
  async (t) => {
    const client: Queryable = { query: (sql) => Promise.reject(new Error(sql.split(' ')[0])) }
    function* steps(): Steps<void> {
      yield* insert('batches', [{ batch_id: 1 }])
      yield* query('SELECT 1')
    }
    await t.rejects(run(client, steps()), { message: 'INSERT' })
    function* faulty(): Steps<void> {
      yield* insert('batches', [{ batch_id: 1 }])
      throw new RangeError('at fault')
    }
    await t.rejects(run(client, faulty()), { message: 'at fault' }, 'and nobody misses the failure before it')
    await setImmediate()
  },
)

t.test('the last statements and their COMMIT leave together', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open()
  const database = new URL(ground.url).pathname.slice(1)
  const { query: original } = pg.Client.prototype
  t.teardown(() => void (pg.Client.prototype.query = original))
  const unanswered = new Map<pg.Client, string[]>()
  const beforeCommit: string[] = []
  pg.Client.prototype.query = function watched(this: pg.Client, ...values: unknown[]) {
    const text = textOf(values[0])
    const asked = unanswered.get(this) ?? []
    unanswered.set(this, asked)
    if (text === 'COMMIT' && this.database === database) beforeCommit.push(...asked)
    asked.push(text)
    const answer = Reflect.apply(original, this, values) as unknown as Promise<unknown>
    return answer.finally(() => asked.splice(asked.indexOf(text), 1)) as never
  }
  await commitTo(store, 1)
  t.match(beforeCommit, [/^INSERT INTO batches/, /^INSERT INTO trail/, /^\s*INSERT INTO totals/])
})

t.test('where the last statement fails nothing is committed, though COMMIT was sent behind it', async (t) => {
  const ground = await layGround(t, server)
  const problems: string[] = []
  const { store } = await ground.open({ onProblem: ({ problem }) => void problems.push(problem) })
  await ground.ask('ALTER TABLE pinrelay.totals ADD CONSTRAINT few CHECK (received < 3)')
  t.teardown(() => ground.ask('ALTER TABLE pinrelay.totals DROP CONSTRAINT few'))
  const [one, tooMany, other] = await Promise.allSettled(
    [['a'], ['b', 'c'], ['d']].map((ids) => store.commit(makeBatch(ids))),
  )
  t.match([one, other], [{ status: 'fulfilled' }, { status: 'fulfilled' }])
  t.match(tooMany, { status: 'rejected', reason: { code: '23514' } })
  t.match(await ground.ask('SELECT event_count FROM pinrelay.batches'), [
    { event_count: 1 },
    { event_count: 1 },
  ])
  t.equal((await ground.ask('SELECT 1 FROM pinrelay.dedupe')).length, 2)
  t.same(problems, [])
})

t.test('keys are searched before they are inserted only where the claim before had a duplicate', (t) => {
  const dedupe = createDedupe()
  function expectsNew(fresh: readonly string[] | null): unknown {
    const steps = dedupe.claim([{ batchId: 1, seenAtMs: NOW_MS, keys: [Buffer.alloc(16)] }])
    const { value } = steps.next()
    t.same(steps.next([{ fresh }]).value, [fresh === null ? [] : [0]])
    return (value as { readonly values: readonly unknown[] }).values.at(-1)
  }
  t.same([null, [], [], null, null].map(expectsNew), [true, true, false, false, true])
  t.end()
})

t.test('payloads travel in binary, and not as hexadecimal digits', async (t) => {
  const sent: unknown[][] = []
  const client: Queryable = {
    async query(_sql, values = []) {
      sent.push(values)
      return { rows: [] } as never
    },
  }
  const rows = ['a', 'b', 'c', 'd', 'e'].map((text) => ({ batch_id: 1, sealed: Buffer.from(text) }))
  await run(client, insert('batches', rows.slice(0, 1)))
  await run(client, insert('batches', rows))
  const ids = rows.map((row) => row.batch_id)
  const lists = [packArray('bigint', ids, Number), packArray('bytea', rows, ({ sealed }) => sealed)]
  t.same(sent, [[1, Buffer.from('a')], lists])
})

t.test('PostgreSQL reads the arrays that are packed for it', async (t) => {
  const ground = await layGround(t, server)
  const key = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
  const lists = {
    boolean: [[true, false, null], '{t,f,NULL}'],
    bytea: [[Buffer.from('a'), null, Buffer.alloc(0)], String.raw`{"\\x61",NULL,"\\x"}`],
    uuid: [[key], '{00112233-4455-6677-8899-aabbccddeeff}'],
    text: [['ä', null, ''], '{ä,NULL,""}'],
    integer: [[-1, null, 2 ** 31 - 1], '{-1,NULL,2147483647}'],
    bigint: [[Number.MIN_SAFE_INTEGER, null, 2 ** 53], '{-9007199254740991,NULL,9007199254740992}'],
  } as const
  for (const [type, [values, text]] of Object.entries(lists)) {
    const packed = packArray(type as PackedType, values as readonly unknown[], (value) => value)
    t.same(await ground.ask(`SELECT $1::${type}[]::text AS text`, [packed]), [{ text }], type)
  }
  for (const type of Object.keys(lists)) {
    const absent = packArray(type as PackedType, [0], () => undefined)
    t.same(await ground.ask(`SELECT $1::${type}[]::text AS text`, [absent]), [{ text: '{NULL}' }], type)
  }
  const empty = packArray('text', [], () => '')
  t.same(await ground.ask('SELECT cardinality($1::text[]) AS count', [empty]), [{ count: 0 }])
})

t.test('a plan that is kept since a table was small reads no table as a whole', async (t) => {
  const ground = await layGround(t, server)
  const { query } = pg.Client.prototype
  const database = new URL(ground.url).pathname.slice(1)
  const texts = new Set<string>()
  t.teardown(() => void (pg.Client.prototype.query = query))
  pg.Client.prototype.query = function watched(this: pg.Client, ...values: unknown[]) {
    if (this.database === database && isNamed(values[0])) texts.add(textOf(values[0]))
    return Reflect.apply(query, this, values) as never
  }
  const { store } = await ground.open({ heartbeatMs: 3_600_000, feedPollMs: 3_600_000 })
  const ids: number[] = []
  for (let n = 0; n < 8; n++) {
    const batches = ['a', 'b', 'c'].map((name) => makeBatch([`${name}${n}`, `${name}-${n}`, 'repeated']))
    const receipts = await Promise.all(batches.map((batch) => store.commit(batch)))
    ids.push(...receipts.map(({ batch }) => batch!.batchId))
  }
  const part = { delivered: [0], acknowledgedAtMs: NOW_MS } as const
  const dead = [makeDead(1)]
  await store.acknowledge(ids.slice(1, 3).map((batchId) => ({ batchId, ...part, dead: [] })))
  await store.acknowledge(ids.slice(3, 5).map((batchId) => ({ batchId, ...part, dead })))
  await store.acknowledge([{ ...part, batchId: ids[5]!, delivered: 'rest', dead: [] }])
  await store.release(ids.slice(6).map((batchId) => ({ batchId, attempts: 1, history: [] })))
  pg.Client.prototype.query = query

  await ground.ask('VACUUM (FULL, ANALYZE) pinrelay.batches, pinrelay.dedupe')
  const client = new pg.Client({ connectionString: ground.url })
  await client.connect()
  t.teardown(() => client.end())
  await client.query(
    'SET search_path = pinrelay; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan',
  )
  t.ok(texts.size > 10, `${texts.size} statements`)
  for (const [nth, text] of [...texts].entries()) {
    const parameters = new Set(text.match(/\$\d+/g)).size
    const nulls = parameters > 0 ? `(${Array(parameters).fill('NULL').join()})` : ''
    await client.query(`PREPARE p${nth} AS ${text}`)
    const { rows } = await client.query<[string]>({
      text: `EXPLAIN EXECUTE p${nth}${nulls}`,
      rowMode: 'array',
    })
    const plan = rows.flat().join('\n')
    t.notMatch(plan, /Seq Scan|Index (Only )?Scan .*\n(?! *Index Cond)/, text)
  }
})

/** The clients that write the posts of this ground, once they do. */
function watchWriters(t: Test, ground: PostgresGround): ReadonlySet<pg.Client> {
  const { query } = pg.Client.prototype
  const database = new URL(ground.url).pathname.slice(1)
  t.teardown(() => void (pg.Client.prototype.query = query))
  const writers = new Set<pg.Client>()
  pg.Client.prototype.query = function watched(this: pg.Client, ...values: unknown[]) {
    if (this.database === database && textOf(values[0]).includes('SET commit_number')) writers.add(this)
    return Reflect.apply(query, this, values) as never
  }
  return writers
}

t.test('a statement of every post is planned once', async (t) => {
  const ground = await layGround(t, server)
  const writers = watchWriters(t, ground)
  const { store } = await ground.open()
  for (let n = 0; n < 10; n++) {
    const receipts = await commitTo(store, 1 + (n % 3))
    const whole = { delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS } as const
    await store.acknowledge(receipts.map(({ batch }) => ({ ...whole, batchId: batch!.batchId })))
  }
  const [writer] = writers
  const { rows } = await writer!.query<{ name: string; custom: number }>(
    'SELECT name, custom_plans::integer AS custom FROM pg_prepared_statements',
  )
  t.ok(rows.length > 4)
  // So often PostgreSQL plans for the values that it is given, to compare.
  t.same(
    rows.filter(({ custom }) => custom > 5),
    [],
  )
})

t.test('a session whose statements are of no use any more fails one group, and is replaced', async (t) => {
  const ground = await layGround(t, server)
  const writers = watchWriters(t, ground)
  const { store } = await ground.open()
  /** The second one is a duplicate, whose batch is asked for. */
  const commitTwice = async () => {
    await store.commit(makeBatch(['same']))
    await store.commit(makeBatch(['same']))
  }
  const retype = (type: string) =>
    ground.ask(`ALTER TABLE pinrelay.batches ALTER COLUMN batch_id TYPE ${type}`)
  t.teardown(() => retype('bigint'))
  await commitTwice()
  // As where a pooler gives another session.
  for (const writer of writers) await writer.query('DEALLOCATE ALL')
  await t.rejects(commitTwice(), { code: 'STORE_UNAVAILABLE' })
  await t.resolves(commitTwice())
  // As where a newer relay changed the tables: "cached plan must not change result type".
  await retype('integer')
  await t.rejects(commitTwice(), { code: 'STORE_UNAVAILABLE' })
  await t.resolves(commitTwice())
})
