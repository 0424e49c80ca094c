/**
 * Each way in which Pinterest can fail, alone: what the post sees, what the operator sees, that another account goes on
 * meanwhile, and that afterwards every event is there and the totals balance.
 */
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { registerAccounts } from '../support/admin.ts'
import { catchDeadlines } from '../support/deadlines.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp, TOKEN, type Stand } from '../support/relay.ts'
import { totalsOf, queueOf, deadLettersOf, until, untilDrained, untilQueueIs } from './observe.ts'
import {
  believedRows,
  countedRow,
  hangRow,
  lastingRows,
  lateAnswerRows,
  lostAnswerRows,
  NEIGHBOUR,
  putToken,
  refusalRows,
  ROWS,
  type LastingRow,
  type Row,
} from './rows.ts'

/** Short, since most posts here wait in vain; those that do not ask for more by `Prefer`. */
const SETTINGS = { ANSWER_WAIT_MS: '200', CALL_TIMEOUT_MS: '60000' }
/** Of calls that are never answered; a test ends it. */
const DEADLINE_MS = 59_999
const PATIENT = { headers: { prefer: 'wait=30' } }

/** One relay for all faults, each on an account of its own. */
const stand = await setUp(t, SETTINGS)
const key = await registerAccounts(stand.admin, [...ROWS.map(accountOf), NEIGHBOUR])

async function playLasting(t: Test, row: LastingRow, account: string): Promise<void> {
  const { rule, queue, mend, longestS, says } = row
  stand.sandbox.faults.add({ ...rule, adAccountId: account })
  const [answer] = await Promise.all([post(account, ['a', 'b']), postNeighbour(t)])
  t.equal(answer.status, 200)
  t.equal(answer.headers.get('relay-queued'), '2')
  t.match(answer.body, { num_events_processed: 2 })
  const { next_try_in_seconds: nextTryS } = await untilQueueIs(stand, account, queue)
  if (longestS !== undefined) t.ok(nextTryS! <= longestS, `waits ${nextTryS} s`)
  await postNeighbour(t)
  // What waits behind the fault must not be lost either.
  t.equal((await post(account, ['c'])).status, 200)
  if (mend)
    t.strictSame(
      callsOf(account).map(({ isTest }) => isTest),
      [false, true],
      'a hold costs one call and the canary',
    )

  lift(stand, account)
  await mend?.(stand, account)
  await untilDrained(stand, account)
  t.strictSame(recorded(stand, account), { a: 1, b: 1, c: 1 })
  t.match(await totalsOf(stand, account), totals({ received: 3, delivered: 3 }))
  t.equal((await queueOf(stand, account))?.status, 'sending')
  if (mend === putToken) t.equal(callsOf(account).at(-1)?.tokenLast4, '_NEW')
  const lines = stand.logLines.filter((line) => line.includes(`"ad_account_id":"${account}"`))
  if (says) t.ok(lines.some((line) => line.includes(`"reason":"${says}"`)))
}

const callsOf = (account: string) => stand.sandbox.journal.calls({ adAccountId: account })

/** All at once: they take the time of the longest. */
t.test(
  'a fault that lasts: the post is answered, the queue waits, and nothing is lost when it ends',
  async (t) => {
    await eachRow(t, lastingRows, playLasting)
    await t.test('the neighbour lost nothing, and got nothing that was not its own', async (t) => {
      await neighbourIsWell(t)
      t.strictSame(
        stand.logLines.filter((line) => line.includes(TOKEN) || line.includes(key) || line.includes('pina_')),
        [],
        'no token is in the log',
      )
    })
  },
)

async function playLost(t: Test, { rule, says }: Row, account: string): Promise<void> {
  stand.sandbox.faults.add({ ...rule, adAccountId: account, times: 1 })
  const [answer] = await Promise.all([post(account, ['a', 'b'], PATIENT), postNeighbour(t)])
  t.equal(answer.status, 200)
  t.match(answer.body, { num_events_processed: 2 })
  t.equal((await post(account, ['c'], PATIENT)).status, 200)
  await untilDrained(stand, account)
  t.match(await totalsOf(stand, account), totals({ received: 3, delivered: 3 }))
  t.equal((await queueOf(stand, account))?.status, 'sending')
  const lines = stand.logLines.filter((line) => line.includes(`"ad_account_id":"${account}"`))
  t.strictSame(recorded(stand, account), { a: 2, b: 2, c: 1 })
  if (says) t.ok(lines.some((line) => line.includes(`"reason":"${says}"`)))
}

t.test('an answer that is lost: the call is made again, and only its events are there twice', async (t) => {
  await eachRow(t, lostAnswerRows, playLost)
  await t.test('the neighbour lost nothing', neighbourIsWell)
})

t.test(
  'a 200 that only counts all events as processed: they are delivered, and not sent again',
  async (t) => {
    const account = accountOf(countedRow)
    stand.sandbox.faults.add({ ...countedRow.rule, adAccountId: account })
    const { status, headers } = await post(account, ['a', 'b'], PATIENT)
    t.strictSame([status, headers.get('relay-queued')], [200, null])
    lift(stand, account)
    t.strictSame(recorded(stand, account), { a: 1, b: 1 })
  },
)

t.test(
  'events that are rejected: 422 says which, they are dead letters, and the others arrive',
  async (t) => {
    await eachRow(t, refusalRows, async (t, { rule, refused, reason }, account) => {
      stand.sandbox.faults.add({ ...rule, adAccountId: account })
      const [answer] = await Promise.all([post(account, ['a', 'b'], PATIENT), postNeighbour(t)])
      t.equal(answer.status, 422)
      const statuses = refused === 1 ? ['processed', 'failed'] : ['failed', 'failed']
      t.strictSame(
        answer.body.details?.events?.map(({ status }) => status),
        statuses,
      )
      t.equal((await queueOf(stand, account))?.status, 'sending')
      lift(stand, account)
      t.equal((await post(account, ['c'], PATIENT)).status, 200)
      t.strictSame(recorded(stand, account), refused === 1 ? { a: 1, c: 1 } : { c: 1 })
      await untilDrained(stand, account)
      t.match(
        await totalsOf(stand, account),
        totals({ received: 3, delivered: 3 - refused, rejected: refused }),
      )
      const deadLetters = await deadLettersOf(stand, account)
      t.strictSame(deadLetters.map(({ event_id: id }) => id).toSorted(), refused === 1 ? ['b'] : ['a', 'b'])
      for (const deadLetter of deadLetters) t.match(deadLetter, { status: 'rejected', reason })
    })
    await t.test('the neighbour lost nothing', neighbourIsWell)
  },
)

t.test('a Retry-After beyond belief keeps nobody longer than five minutes', async (t) => {
  await eachRow(t, believedRows, async (t, { rule }, account) => {
    stand.sandbox.faults.add({ ...rule, adAccountId: account })
    t.equal((await post(account, ['a', 'b'])).status, 200)
    const { next_try_in_seconds: nextTryS } = await untilQueueIs(stand, account, 'rate_limited')
    t.ok(nextTryS! <= 300, `waits ${nextTryS} s`)
    await postNeighbour(t)
  })
  await t.test('a restart asks Pinterest anew', async (t) => {
    stand.sandbox.faults.clear()
    await stand.restart()
    for (const account of believedRows.map(accountOf)) {
      await untilDrained(stand, account)
      t.strictSame(recorded(stand, account), { a: 1, b: 1 })
      t.match(await totalsOf(stand, account), totals({ received: 2, delivered: 2 }))
    }
    await neighbourIsWell(t)
  })
})

t.test('503 with code 4197: all accounts wait, and all continue', async (t) => {
  stand.sandbox.faults.set([{ kind: 'status', status: 503 }])
  t.equal((await post(ACCOUNT, ['a'], { key: stand.relayKey })).status, 200)
  await untilQueueIs(stand, ACCOUNT, 'pinterest_down')
  t.equal((await post(NEIGHBOUR, ['b'])).status, 200)
  t.equal((await queueOf(stand, NEIGHBOUR))?.status, 'pinterest_down')
  stand.sandbox.faults.clear()
  for (const account of [ACCOUNT, NEIGHBOUR]) {
    await untilDrained(stand, account)
    t.equal((await queueOf(stand, account))?.status, 'sending')
  }
  t.strictSame(recorded(stand, ACCOUNT), { a: 1 })
  await neighbourIsWell(t)
})

t.test('an address that leads nowhere: all is kept until the relay starts with the right one', async (t) => {
  const rows: readonly [string, string, readonly string[]][] = [
    // Nothing listens on tcpmux.
    ['connection refused', 'http://127.0.0.1:1/v5', ['refused']],
    // A resolver may take longer to say no than a call may take.
    ['DNS failure', 'http://does-not-exist.invalid/v5', ['dns', 'timeout']],
    ['TLS failure', `https://127.0.0.1:${stand.sandbox.port}/v5`, ['tls']],
  ]
  const [one, other] = [accountOf(lastingRows[0]!), accountOf(lastingRows[1]!)]
  stand.sandbox.conversions.clear()
  for (const [name, address, says] of rows) {
    await t.test(name, async (t) => {
      await stand.restart({ PINTEREST_API_URL: address })
      const linesBefore = stand.logLines.length
      for (const answer of await Promise.all([post(one, [name]), post(other, [name])])) {
        t.equal(answer.status, 200)
        t.equal(answer.headers.get('relay-queued'), '1')
        t.match(answer.body, { num_events_processed: 1 })
      }
      const reasons = () =>
        stand.logLines
          .slice(linesBefore)
          .map((line) => JSON.parse(line) as { phrase: string; reason?: string })
          .filter(({ phrase }) => phrase === 'call not taken')
          .map(({ reason }) => reason ?? '')
      // Three of each queue open its breaker.
      await until(async () => reasons().length >= 6)
      await untilQueueIs(stand, one, 'failing')
      await untilQueueIs(stand, other, 'failing')
      t.strictSame(
        reasons().filter((reason) => !says.includes(reason)),
        [],
      )
      t.strictSame(recorded(stand, one), {})
    })
  }
  await stand.restart({ PINTEREST_API_URL: stand.sandbox.url })
  for (const account of [one, other]) {
    await untilDrained(stand, account)
    t.strictSame(recorded(stand, account), Object.fromEntries(rows.map(([name]) => [name, 1])))
    t.match(await totalsOf(stand, account), totals({ received: 3 + rows.length, delivered: 3 + rows.length }))
  }
})

t.test('a call that is not answered in time is a call that failed', async (t) => {
  const deadlines = catchDeadlines(t, DEADLINE_MS)
  await stand.restart({ CALL_TIMEOUT_MS: String(DEADLINE_MS) })
  const countLate = () =>
    stand.sandbox.journal.calls().filter(({ fault }) => fault === 'hang' || fault === 'drip').length
  let endedCount = countLate()
  const played = Promise.all([eachRow(t, [hangRow], playLasting), eachRow(t, lateAnswerRows, playLost)])
  let isPlaying = true
  void played.finally(() => (isPlaying = false))
  await until(async () => {
    // No other call is under way.
    if (deadlines.count() === countLate() - endedCount) {
      endedCount += deadlines.count()
      deadlines.fire()
    }
    return !isPlaying
  })
  await played
})

function accountOf(row: Row): string {
  return String(1001 + ROWS.indexOf(row))
}

function post(account: string, ids: readonly string[], options: object = {}) {
  return stand.post({ data: ids.map((id) => rawEvent({ event_id: id })) }, { account, key, ...options })
}

async function postNeighbour(t: Test) {
  const { status } = await post(NEIGHBOUR, [randomUUID()], PATIENT)
  t.equal(status, 200, 'the neighbour is served')
}

async function eachRow<R extends Row>(
  t: Test,
  rows: readonly R[],
  play: (t: Test, row: R, account: string) => Promise<void>,
): Promise<void> {
  t.jobs = ROWS.length
  const tests = rows.map((row) => t.test(row.name, { buffered: true }, (t) => play(t, row, accountOf(row))))
  await Promise.all(tests)
}

/** Takes back the fault of one account. `set` begins to count anew: a rule that is used up must not apply again. */
function lift({ sandbox }: Stand, account: string): void {
  const left = sandbox.faults.list().filter(({ rule, used }) => used < (rule.times ?? Infinity))
  sandbox.faults.set(left.map(({ rule }) => rule).filter(({ adAccountId }) => adAccountId !== account))
}

function recorded({ sandbox }: Stand, account: string): Record<string, number> {
  return Object.fromEntries(sandbox.conversions.counts(account))
}

/** Balanced: what is not told is 0. */
function totals(counts: { received: number; delivered: number; rejected?: number }) {
  return { rejected: 0, expired: 0, filtered: 0, queued: 0, duplicate: 0, invalid: 0, ...counts }
}

async function neighbourIsWell(t: Test): Promise<void> {
  await until(async () => (await totalsOf(stand, NEIGHBOUR))['queued'] === 0)
  const { recorded: count, repeated } = stand.sandbox.conversions.summary(NEIGHBOUR)
  t.equal(repeated, 0)
  t.match(await totalsOf(stand, NEIGHBOUR), totals({ received: count, delivered: count }))
}
