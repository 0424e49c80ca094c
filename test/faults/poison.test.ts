/** One event that makes Pinterest refuse its whole call without a word costs itself, and few calls. */
import t from 'tap'
import { registerAccounts } from '../support/admin.ts'
import { rawEvent } from '../support/events.ts'
import { setUp } from '../support/relay.ts'
import { totalsOf, deadLettersOf, untilDrained } from './observe.ts'

const CALLS_AT_MOST = 20

const makeIds = (count: number, prefix = 'event') => Array.from({ length: count }, (_, n) => `${prefix}-${n}`)
const toPost = (ids: readonly string[]) => ({ data: ids.map((id) => rawEvent({ event_id: id })) })

/** Each test has an account of its own. */
const FIRST = '1001'
const MIDDLE = '1002'
const LAST = '1003'
const TOGETHER = '1004'
const AT_ONCE = '1005'
const stand = await setUp(t)
const key = await registerAccounts(stand.admin, [FIRST, MIDDLE, LAST, TOGETHER, AT_ONCE])

const callsOf = (account: string) => stand.sandbox.journal.calls({ adAccountId: account }).length
const post = (account: string, ids: readonly string[], prefer = 'wait=30') =>
  stand.post(toPost(ids), { account, key, headers: { prefer } })

/** What was recorded more or less often than once. */
function notOnce(account: string, ids: readonly string[]) {
  const counts = stand.sandbox.conversions.counts(account)
  return ids.filter((id) => counts.get(id) !== 1)
}

for (const [account, status, place] of [
  [FIRST, 400, 0],
  [MIDDLE, 422, 617],
  [LAST, 400, 999],
] as const) {
  t.test(`one poison event (${status}, at ${place}) among 1,000 in one post`, async (t) => {
    const ids = makeIds(1000)
    const poison = ids[place]!
    const others = ids.filter((id) => id !== poison)
    stand.sandbox.faults.set([{ kind: 'poison', eventIds: [poison], status }])

    const answer = await post(account, ids)
    t.equal(answer.status, 422)
    t.match(answer.body.details, { num_events_received: 1000, num_events_processed: 999 })
    t.strictSame(
      answer.body.details?.events?.flatMap((event, index) => (event.status === 'failed' ? [index] : [])),
      [place],
      'the answer says which',
    )
    t.strictSame(notOnce(account, others), [])
    t.equal(stand.sandbox.conversions.counts(account).has(poison), false)
    t.ok(callsOf(account) <= CALLS_AT_MOST, `${callsOf(account)} calls`)
    await untilDrained(stand, account)
    t.match(await deadLettersOf(stand, account), [
      { event_id: poison, status: 'rejected', reason: `refused_${status}` },
    ])
    t.match(await totalsOf(stand, account), { received: 1000, delivered: 999, rejected: 1, queued: 0 })
  })
}

t.test('three poison events in several batches: each dies alone', async (t) => {
  const batches = ['p', 'q', 'r', 's', 't'].map((prefix) => makeIds(100, prefix))
  const poison = ['p-0', 'r-50', 's-99']
  stand.sandbox.faults.set([{ kind: 'poison', eventIds: poison }])
  // Paused, so that the batches leave together.
  await stand.admin('POST', `/accounts/${TOGETHER}/pause`)
  for (const ids of batches) t.equal((await post(TOGETHER, ids, 'respond-async')).status, 202)
  t.equal(callsOf(TOGETHER), 0)
  await stand.admin('POST', `/accounts/${TOGETHER}/resume`)

  await untilDrained(stand, TOGETHER)
  const others = batches.flat().filter((id) => !poison.includes(id))
  t.strictSame(notOnce(TOGETHER, others), [])
  t.equal(stand.sandbox.conversions.summary(TOGETHER).distinct, others.length)
  const dead = await deadLettersOf(stand, TOGETHER)
  t.strictSame(dead.map(({ event_id: id }) => id).toSorted(), poison)
  for (const deadLetter of dead) t.match(deadLetter, { status: 'rejected', reason: 'refused_400' })
  t.match(await totalsOf(stand, TOGETHER), { received: 500, delivered: 497, rejected: 3, queued: 0 })
  t.ok(callsOf(TOGETHER) <= 3 * CALLS_AT_MOST, `${callsOf(TOGETHER)} calls`)
})

t.test('three poison events in posts at the same time: each post is answered with its own', async (t) => {
  const batches = ['p', 'q', 'r', 's'].map((prefix) => makeIds(50, prefix))
  const poison = ['p-7', 'q-0', 's-49']
  stand.sandbox.faults.set([{ kind: 'poison', eventIds: poison, status: 422 }])
  const answers = await Promise.all(batches.map((ids) => post(AT_ONCE, ids)))
  t.strictSame(
    answers.map(({ status }) => status),
    [422, 422, 200, 422],
  )
  t.strictSame(
    answers.flatMap(({ body }, batch) =>
      (body.details?.events ?? []).flatMap(({ status }, index) =>
        status === 'failed' ? [batches[batch]![index]] : [],
      ),
    ),
    poison,
  )
  t.strictSame(
    notOnce(
      AT_ONCE,
      batches.flat().filter((id) => !poison.includes(id)),
    ),
    [],
  )
  await untilDrained(stand, AT_ONCE)
  t.match(await totalsOf(stand, AT_ONCE), { received: 200, delivered: 197, rejected: 3, queued: 0 })
})
