/**
 * A firewall in front of Pinterest that dislikes the text of one event costs that event; one that refuses everything, and
 * a token that is revoked, hold the queue and lose nothing.
 */
import t, { type Test } from 'tap'
import { registerAccounts } from '../support/admin.ts'
import { rawEvent } from '../support/events.ts'
import { setUp } from '../support/relay.ts'
import { deadLettersOf, queueOf, totalsOf, until, untilDrained, untilQueueIs } from './observe.ts'
import { putToken } from './rows.ts'

/** One of each kind: of the token, the permission, the address, and none of these. canary.test.ts has them all. */
const STATUSES = [401, 403, 405, 451]
/** The first accounts are the statuses'. */
const EVERYTHING = '2001'
const REVOKED = '2002'
const TEST_QUEUE = '2003'
const DISLIKED = "' OR 1=1; DROP TABLE"
const accountOf = (status: number) => String(1000 + status)

/** Posts are answered at once where the queue is held. */
const stand = await setUp(t, { ANSWER_WAIT_MS: '200' })
const key = await registerAccounts(stand.admin, [...STATUSES.map(accountOf), EVERYTHING, REVOKED, TEST_QUEUE])
const PATIENT = { prefer: 'wait=30' }

const idsOf = (count: number, prefix = 'event') => Array.from({ length: count }, (_, n) => `${prefix}-${n}`)
const post = (account: string, data: readonly object[], headers = {}, query?: string) =>
  stand.post({ data }, { account, key, headers, ...(query !== undefined && { query }) })
const callsOf = (account: string) => stand.sandbox.journal.calls({ adAccountId: account })

/** 63 good ones, and one that the firewall dislikes. */
function makeEvents(): readonly object[] {
  return idsOf(64).map((id, n) =>
    rawEvent({ event_id: id, ...(n === 40 && { custom_data: { search_string: DISLIKED } }) }),
  )
}

/** What a held queue called since: nothing of a customer. */
function onlyCanaries(t: Test, account: string, from: number): void {
  const calls = callsOf(account).slice(from)
  t.ok(
    calls.every(({ isTest, eventCount }) => isTest && eventCount === 1),
    'only canaries leave',
  )
}

t.test('one event that a firewall dislikes, by the status that it answers with', async (t) => {
  for (const status of STATUSES) {
    await t.test(String(status), async (t) => {
      const account = accountOf(status)
      stand.sandbox.faults.add({ kind: 'firewall', text: DISLIKED, status, adAccountId: account })
      const answer = await post(account, makeEvents(), PATIENT)
      t.equal(answer.status, 422)
      t.match(answer.body.details, { num_events_received: 64, num_events_processed: 63 })
      await untilDrained(stand, account)
      t.match(await totalsOf(stand, account), { received: 64, delivered: 63, rejected: 1, queued: 0 })
      t.equal(stand.sandbox.conversions.summary(account).distinct, 63)
      t.equal(stand.sandbox.conversions.summary(account).repeated, 0)
      t.match(await deadLettersOf(stand, account), [
        { event_id: 'event-40', status: 'rejected', reason: `refused_${status}` },
      ])
      t.match(await queueOf(stand, account), { status: 'sending' })
      t.match((await stand.admin('GET', `/accounts/${account}`)).body, { token: { last_failure: null } })
      t.ok(callsOf(account).length <= 15, `${callsOf(account).length} calls`)
    })
  }
})

t.test('a test queue behind the firewall, too', async (t) => {
  stand.sandbox.faults.add({ kind: 'firewall', text: DISLIKED, adAccountId: TEST_QUEUE })
  const answer = await post(TEST_QUEUE, makeEvents(), PATIENT, '?test=true')
  t.equal(answer.status, 422)
  t.match(answer.body.details, { num_events_processed: 63 })
})

t.test('everything is refused: held after nine calls at most, and nothing is a dead letter', async (t) => {
  stand.sandbox.faults.add({ kind: 'firewall', status: 400, adAccountId: EVERYTHING })
  t.equal(
    (
      await post(
        EVERYTHING,
        idsOf(100).map((id) => rawEvent({ event_id: id })),
      )
    ).status,
    200,
  )
  await untilQueueIs(stand, EVERYTHING, 'rejects_everything')
  const calls = callsOf(EVERYTHING).length
  t.ok(calls <= 9, `${calls} calls`)
  t.match(await totalsOf(stand, EVERYTHING), { queued: 100, rejected: 0 })
  t.strictSame(await deadLettersOf(stand, EVERYTHING), [])

  await stand.admin('POST', `/accounts/${EVERYTHING}/resume`)
  await until(async () => callsOf(EVERYTHING).length > calls)
  onlyCanaries(t, EVERYTHING, calls)
  await untilQueueIs(stand, EVERYTHING, 'rejects_everything')
})

t.test(
  'a token that is revoked: held after one canary, also after a restart, and a new one resumes at once',
  async (t) => {
    stand.sandbox.faults.clear()
    stand.sandbox.tokens.set([{ accessToken: `pina_TOKEN_OF_${REVOKED}_NEW` }])
    t.equal((await post(REVOKED, [rawEvent({ event_id: 'a' })])).status, 200)
    await untilQueueIs(stand, REVOKED, 'unauthorized')
    t.strictSame(
      callsOf(REVOKED).map(({ isTest }) => isTest),
      [false, true],
    )
    await stand.restart()
    await untilQueueIs(stand, REVOKED, 'unauthorized')
    const calls = callsOf(REVOKED).length
    t.ok(calls <= 4, 'a restart forgets the hold: one more call and one more canary')
    t.equal((await post(REVOKED, [rawEvent({ event_id: 'b' })])).status, 200)
    t.equal((await stand.admin('POST', `/accounts/${REVOKED}/verify`)).body['works'], false)
    onlyCanaries(t, REVOKED, calls)

    await putToken(stand, REVOKED)
    await untilDrained(stand, REVOKED)
    t.strictSame(Object.fromEntries(stand.sandbox.conversions.counts(REVOKED)), { a: 1, b: 1 })
    t.match(await totalsOf(stand, REVOKED), { received: 2, delivered: 2, rejected: 0, queued: 0 })
  },
)
