/**
 * Each way in which Pinterest can fail, alone: what the post sees, what the operator sees, that another account goes on
 * meanwhile, and that afterwards every event is there and the books balance.
 */
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { FaultRule } from '../../sandbox/faults.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp, TOKEN, type Stand } from '../support/relay.ts'
import { booksOf, laneOf, lettersOf, register, until, untilDrained, untilLaneIs } from './observe.ts'

/** Short, since most posts here wait in vain; those that do not ask for more by `Prefer`. */
const SETTINGS = { ANSWER_WAIT_MS: '200', CALL_TIMEOUT_MS: '2500' }
const PATIENT = { headers: { prefer: 'wait=30' } }
const NEIGHBOUR = '999'

interface Row {
  readonly name: string
  readonly rule: FaultRule
  /** What the log says of a call that was not taken. */
  readonly says?: string
}

/** The fault lasts until it is lifted: the post is answered 202, the lane waits. */
interface LastingRow extends Row {
  readonly lane: string
  /** What ends a hold; without it the lane goes on by itself. */
  readonly mend?: (stand: Stand, account: string) => Promise<unknown>
  /** The longest that the lane may say it waits. */
  readonly longestS?: number
}

const putToken = ({ admin }: Stand, account: string) =>
  admin('PUT', `/accounts/${account}`, { access_token: `pina_TOKEN_OF_${account}_NEW` })
const resume = ({ admin }: Stand, account: string) => admin('POST', `/accounts/${account}/resume`)
const verify = ({ admin }: Stand, account: string) => admin('POST', `/accounts/${account}/verify`)

const limited = (retryAfter?: string): FaultRule => ({
  kind: 'status',
  status: 429,
  ...(retryAfter === undefined ? {} : { headers: { 'Retry-After': retryAfter } }),
})
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toUTCString()
const html = '<html><body>Bearer {access_token}: try again later</body></html>'
const redirect = { location: `/v5/ad_accounts/${NEIGHBOUR}/events` }
/** Without Pinterest's code for an outage, which concerns all accounts. */
const broken = { code: 1, message: 'Something went wrong.' }

/** One of each kind; verdict.test.ts and retry.test.ts have every status and every spelling of Retry-After. */
const lastingRows: readonly LastingRow[] = [
  { name: 'hang', rule: { kind: 'hang' }, lane: 'failing', says: 'timeout' },
  {
    name: 'reset before the body',
    rule: { kind: 'reset', when: 'beforeBody' },
    lane: 'failing',
    says: 'reset',
  },
  {
    name: 'reset after the body',
    rule: { kind: 'reset', when: 'afterBody' },
    lane: 'failing',
    says: 'reset',
  },
  {
    name: 'HTML in a 200',
    rule: { kind: 'status', status: 200, body: html },
    lane: 'failing',
    says: 'retry',
  },
  {
    name: 'HTML in a 502',
    rule: { kind: 'status', status: 502, body: html },
    lane: 'failing',
    says: 'retry',
  },
  {
    name: '200 without results',
    rule: { kind: 'status', status: 200, body: {} },
    lane: 'failing',
    says: 'retry',
  },
  {
    name: '503 without code 4197',
    rule: { kind: 'status', status: 503, body: broken },
    lane: 'failing',
    says: 'retry',
  },
  {
    name: '307',
    rule: { kind: 'status', status: 307, headers: redirect },
    lane: 'wrong_address',
    mend: resume,
  },
  { name: '404', rule: { kind: 'status', status: 404 }, lane: 'wrong_address', mend: resume },
  {
    name: '401 that echoes the token',
    rule: { kind: 'status', status: 401, body: html },
    lane: 'unauthorized',
    mend: putToken,
  },
  { name: '403', rule: { kind: 'status', status: 403 }, lane: 'forbidden', mend: putToken },
  {
    name: '403, and the token works after all',
    rule: { kind: 'status', status: 403 },
    lane: 'forbidden',
    mend: verify,
  },
  { name: '429 with seconds', rule: limited('1'), lane: 'rate_limited', longestS: 1 },
  { name: '429 with a date', rule: limited(inSeconds(4)), lane: 'rate_limited', longestS: 4 },
  { name: '429 without Retry-After', rule: limited(), lane: 'rate_limited', longestS: 60 },
]

/** Pinterest records the call, and its answer is lost once: the post waits for the second call. */
const lostAnswerRows: readonly Row[] = [
  { name: 'slow drip', rule: { kind: 'drip', chunkBytes: 1, intervalMs: 50 }, says: 'timeout' },
  { name: 'hang after recording', rule: { kind: 'hang', isRecorded: true }, says: 'timeout' },
  { name: 'reset after recording', rule: { kind: 'reset', when: 'afterRecording' }, says: 'reset' },
  // To undici, an end before the content-length is reached is a closed socket.
  { name: 'truncated body', rule: { kind: 'truncated' }, says: 'reset' },
  { name: 'huge answer', rule: { kind: 'hugeAnswer', sizeBytes: 5 * 2 ** 20 }, says: 'too_large' },
  { name: 'a result too few', rule: { kind: 'wrongCount', difference: -1 }, says: 'retry' },
  { name: 'a result too many', rule: { kind: 'wrongCount', difference: 1 }, says: 'retry' },
  {
    name: '500 after recording',
    rule: { kind: 'status', status: 500, body: broken, isRecorded: true },
    says: 'retry',
  },
]

/** Pinterest refuses events: no lane waits. */
const refusalRows: readonly (Row & { readonly refused: 1 | 2; readonly reason: string })[] = [
  {
    name: '422 with details, all refused',
    rule: { kind: 'failEvents' },
    refused: 2,
    reason: 'refused_event',
  },
  {
    name: '422 with details, one refused',
    rule: { kind: 'failEvents', indexes: [1] },
    refused: 1,
    reason: 'refused_event',
  },
  {
    name: '200 with a failed event',
    rule: { kind: 'failEvents', indexes: [1], status: 200 },
    refused: 1,
    reason: 'refused_event',
  },
  { name: '422 without details', rule: { kind: 'status', status: 422 }, refused: 2, reason: 'refused_422' },
  { name: '400', rule: { kind: 'status', status: 400 }, refused: 2, reason: 'refused_400' },
]

const believedRows: readonly Row[] = [
  { name: 'an hour', rule: limited('3600') },
  { name: 'a number of 40 digits', rule: limited('9'.repeat(40)) },
]

const ROWS: readonly Row[] = [...lastingRows, ...lostAnswerRows, ...refusalRows, ...believedRows]

/** One relay for all faults, each on an account of its own. */
const stand = await setUp(t, SETTINGS)
const key = await register(stand, [...ROWS.map(accountOf), NEIGHBOUR])

/** All at once: they take the time of the longest. */
t.test('a fault that lasts: 202, the lane waits, and nothing is lost when it ends', async (t) => {
  const calls = (account: string) => stand.sandbox.journal.calls({ adAccountId: account })

  await eachRow(t, lastingRows, async (t, { rule, lane, mend, longestS, says }, account) => {
    stand.sandbox.faults.add({ ...rule, adAccountId: account })
    const [answer] = await Promise.all([post(account, ['a', 'b']), postNeighbour(t)])
    t.equal(answer.status, 202)
    t.match(answer.body, { num_events_processed: 2, relay: { queued: 2 } })
    const { next_try_in_seconds: nextTryS } = await untilLaneIs(stand, account, lane)
    if (longestS !== undefined) t.ok(nextTryS! <= longestS, `waits ${nextTryS} s`)
    await postNeighbour(t)
    // What waits behind the fault must not be lost either.
    t.equal((await post(account, ['c'])).status, 202)
    if (mend) t.equal(calls(account).length, 1, 'a hold costs one call')

    lift(stand, account)
    await mend?.(stand, account)
    await untilDrained(stand, account)
    t.strictSame(recorded(stand, account), { a: 1, b: 1, c: 1 })
    t.match(await booksOf(stand, account), books({ received: 3, delivered: 3 }))
    t.equal((await laneOf(stand, account))?.status, 'open')
    if (mend === putToken) t.equal(calls(account).at(-1)?.tokenLast4, '_NEW')
    const lines = stand.logLines.filter((line) => line.includes(`"ad_account_id":"${account}"`))
    if (says) t.ok(lines.some((line) => line.includes(`"reason":"${says}"`)))
  })

  await t.test('the neighbour lost nothing, and got nothing that was not its own', async (t) => {
    await neighbourIsWell(t)
    t.strictSame(
      stand.logLines.filter((line) => line.includes(TOKEN) || line.includes(key) || line.includes('pina_')),
      [],
      'no token is in the log',
    )
  })
})

t.test('an answer that is lost: the call is made again, and only its events are there twice', async (t) => {
  await eachRow(t, lostAnswerRows, async (t, { rule, says }, account) => {
    stand.sandbox.faults.add({ ...rule, adAccountId: account, times: 1 })
    const [answer] = await Promise.all([post(account, ['a', 'b'], PATIENT), postNeighbour(t)])
    t.equal(answer.status, 200)
    t.match(answer.body, { num_events_processed: 2 })
    t.equal((await post(account, ['c'], PATIENT)).status, 200)
    t.strictSame(recorded(stand, account), { a: 2, b: 2, c: 1 })
    await untilDrained(stand, account)
    t.match(await booksOf(stand, account), books({ received: 3, delivered: 3 }))
    t.equal((await laneOf(stand, account))?.status, 'open')
    const lines = stand.logLines.filter((line) => line.includes(`"ad_account_id":"${account}"`))
    if (says) t.ok(lines.some((line) => line.includes(`"reason":"${says}"`)))
  })
  await t.test('the neighbour lost nothing', neighbourIsWell)
})

t.test('events that are refused: 422 says which, they are dead letters, and the others arrive', async (t) => {
  await eachRow(t, refusalRows, async (t, { rule, refused, reason }, account) => {
    stand.sandbox.faults.add({ ...rule, adAccountId: account })
    const [answer] = await Promise.all([post(account, ['a', 'b'], PATIENT), postNeighbour(t)])
    t.equal(answer.status, 422)
    const statuses = refused === 1 ? ['processed', 'failed'] : ['failed', 'failed']
    t.strictSame(
      answer.body.details?.events?.map(({ status }) => status),
      statuses,
    )
    t.equal((await laneOf(stand, account))?.status, 'open')
    lift(stand, account)
    t.equal((await post(account, ['c'], PATIENT)).status, 200)
    t.strictSame(recorded(stand, account), refused === 1 ? { a: 1, c: 1 } : { c: 1 })
    await untilDrained(stand, account)
    t.match(await booksOf(stand, account), books({ received: 3, delivered: 3 - refused, rejected: refused }))
    const letters = await lettersOf(stand, account)
    t.strictSame(letters.map(({ event_id: id }) => id).toSorted(), refused === 1 ? ['b'] : ['a', 'b'])
    for (const letter of letters) t.match(letter, { status: 'rejected', reason })
  })
  await t.test('the neighbour lost nothing', neighbourIsWell)
})

t.test('a Retry-After beyond belief keeps nobody longer than five minutes', async (t) => {
  await eachRow(t, believedRows, async (t, { rule }, account) => {
    stand.sandbox.faults.add({ ...rule, adAccountId: account })
    t.equal((await post(account, ['a', 'b'])).status, 202)
    const { next_try_in_seconds: nextTryS } = await untilLaneIs(stand, account, 'rate_limited')
    t.ok(nextTryS! <= 300, `waits ${nextTryS} s`)
    await postNeighbour(t)
  })
  await t.test('a restart asks Pinterest anew', async (t) => {
    stand.sandbox.faults.clear()
    await stand.restart()
    for (const account of believedRows.map(accountOf)) {
      await untilDrained(stand, account)
      t.strictSame(recorded(stand, account), { a: 1, b: 1 })
      t.match(await booksOf(stand, account), books({ received: 2, delivered: 2 }))
    }
    await neighbourIsWell(t)
  })
})

t.test('503 with code 4197: all accounts wait, and all go on', async (t) => {
  stand.sandbox.faults.set([{ kind: 'status', status: 503 }])
  t.equal((await post(ACCOUNT, ['a'], { key: stand.relayKey })).status, 202)
  await untilLaneIs(stand, ACCOUNT, 'outage')
  t.equal((await post(NEIGHBOUR, ['b'])).status, 202)
  t.equal((await laneOf(stand, NEIGHBOUR))?.status, 'outage')
  stand.sandbox.faults.clear()
  for (const account of [ACCOUNT, NEIGHBOUR]) {
    await untilDrained(stand, account)
    t.equal((await laneOf(stand, account))?.status, 'open')
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
        t.equal(answer.status, 202)
        t.match(answer.body, { num_events_processed: 1, relay: { queued: 1 } })
      }
      await untilLaneIs(stand, one, 'failing')
      await untilLaneIs(stand, other, 'failing')
      const reasons = stand.logLines
        .slice(linesBefore)
        .map((line) => JSON.parse(line) as { phrase: string; reason?: string })
        .filter(({ phrase }) => phrase === 'call not taken')
        .map(({ reason }) => reason ?? '')
      t.ok(reasons.length >= 6, 'three failures of each lane are told')
      t.strictSame(
        reasons.filter((reason) => !says.includes(reason)),
        [],
      )
      t.strictSame(recorded(stand, one), {})
    })
  }
  await stand.restart({ PINTEREST_API_URL: stand.sandbox.url })
  for (const account of [one, other]) {
    await untilDrained(stand, account)
    t.strictSame(recorded(stand, account), Object.fromEntries(rows.map(([name]) => [name, 1])))
    t.match(await booksOf(stand, account), books({ received: 3 + rows.length, delivered: 3 + rows.length }))
  }
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
  t.jobs = rows.length
  const tests = rows.map((row) => t.test(row.name, { buffered: true }, (t) => play(t, row, accountOf(row))))
  await Promise.all(tests)
}

/** Takes back the fault of one account. */
function lift({ sandbox }: Stand, account: string): void {
  const rules = sandbox.faults.list().map(({ rule }) => rule)
  sandbox.faults.set(rules.filter(({ adAccountId }) => adAccountId !== account))
}

function recorded({ sandbox }: Stand, account: string): Record<string, number> {
  return Object.fromEntries(sandbox.conversions.counts(account))
}

/** Balanced: what is not told is 0. */
function books(counts: { received: number; delivered: number; rejected?: number }) {
  return { rejected: 0, expired: 0, queued: 0, duplicate: 0, refused: 0, ...counts }
}

async function neighbourIsWell(t: Test): Promise<void> {
  await until(async () => (await booksOf(stand, NEIGHBOUR))['queued'] === 0)
  const { recorded: count, repeated } = stand.sandbox.conversions.summary(NEIGHBOUR)
  t.equal(repeated, 0)
  t.match(await booksOf(stand, NEIGHBOUR), books({ received: count, delivered: count }))
}
