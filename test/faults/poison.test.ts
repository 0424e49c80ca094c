/** One event that makes Pinterest refuse its whole call without a word costs itself, and few calls. */
import t from 'tap'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp, type Stand } from '../support/relay.ts'
import { booksOf, lettersOf, untilDrained } from './observe.ts'

const PATIENT = { headers: { prefer: 'wait=30' } }
const CALLS_AT_MOST = 20

const makeIds = (count: number, prefix = 'event') => Array.from({ length: count }, (_, n) => `${prefix}-${n}`)
const toPost = (ids: readonly string[]) => ({ data: ids.map((id) => rawEvent({ event_id: id })) })
const callsOf = ({ sandbox }: Stand) => sandbox.journal.calls({ adAccountId: ACCOUNT }).length

/** What was recorded more or less often than once. */
function notOnce({ sandbox }: Stand, ids: readonly string[]) {
  const counts = sandbox.conversions.counts(ACCOUNT)
  return ids.filter((id) => counts.get(id) !== 1)
}

for (const status of [400, 422]) {
  for (const place of [0, 617, 999]) {
    t.test(`one poison event (${status}, at ${place}) among 1,000 in one post`, async (t) => {
      const stand = await setUp(t)
      const ids = makeIds(1000)
      const poison = ids[place]!
      const others = ids.filter((id) => id !== poison)
      stand.sandbox.faults.set([{ kind: 'poison', eventIds: [poison], status }])

      const answer = await stand.post(toPost(ids), PATIENT)
      t.equal(answer.status, 422)
      t.match(answer.body.details, { num_events_received: 1000, num_events_processed: 999 })
      t.strictSame(
        answer.body.details?.events?.flatMap((event, index) => (event.status === 'failed' ? [index] : [])),
        [place],
        'the answer says which',
      )
      t.strictSame(notOnce(stand, others), [])
      t.equal(stand.sandbox.conversions.counts(ACCOUNT).has(poison), false)
      t.ok(callsOf(stand) <= CALLS_AT_MOST, `${callsOf(stand)} calls`)
      t.match(await lettersOf(stand, ACCOUNT), [
        { event_id: poison, status: 'rejected', reason: `refused_${status}` },
      ])
      t.match(await booksOf(stand, ACCOUNT), { received: 1000, delivered: 999, rejected: 1, queued: 0 })
    })
  }
}

t.test('three poison events in several parcels: each dies alone', async (t) => {
  const stand = await setUp(t, { ANSWER_WAIT_MS: '0' })
  const parcels = ['p', 'q', 'r', 's', 't'].map((prefix) => makeIds(100, prefix))
  const poison = ['p-0', 'r-50', 's-99']
  stand.sandbox.faults.set([{ kind: 'poison', eventIds: poison }])
  // Paused, so that the parcels leave together.
  await stand.admin('POST', `/accounts/${ACCOUNT}/pause`)
  for (const ids of parcels) t.equal((await stand.post(toPost(ids))).status, 202)
  t.equal(callsOf(stand), 0)
  await stand.admin('POST', `/accounts/${ACCOUNT}/resume`)

  await untilDrained(stand, ACCOUNT)
  const others = parcels.flat().filter((id) => !poison.includes(id))
  t.strictSame(notOnce(stand, others), [])
  t.equal(stand.sandbox.conversions.summary(ACCOUNT).distinct, others.length)
  const dead = await lettersOf(stand, ACCOUNT)
  t.strictSame(dead.map(({ event_id: id }) => id).toSorted(), poison)
  for (const letter of dead) t.match(letter, { status: 'rejected', reason: 'refused_400' })
  t.match(await booksOf(stand, ACCOUNT), { received: 500, delivered: 497, rejected: 3, queued: 0 })
  t.ok(callsOf(stand) <= 3 * CALLS_AT_MOST, `${callsOf(stand)} calls`)
})

t.test('three poison events in posts at the same time: each poster is told of its own', async (t) => {
  const stand = await setUp(t)
  const parcels = ['p', 'q', 'r', 's'].map((prefix) => makeIds(50, prefix))
  const poison = ['p-7', 'q-0', 's-49']
  stand.sandbox.faults.set([{ kind: 'poison', eventIds: poison, status: 422 }])
  const answers = await Promise.all(parcels.map((ids) => stand.post(toPost(ids), PATIENT)))
  t.strictSame(
    answers.map(({ status }) => status),
    [422, 422, 200, 422],
  )
  t.strictSame(
    answers.flatMap(({ body }, parcel) =>
      (body.details?.events ?? []).flatMap(({ status }, index) =>
        status === 'failed' ? [parcels[parcel]![index]] : [],
      ),
    ),
    poison,
  )
  t.strictSame(
    notOnce(
      stand,
      parcels.flat().filter((id) => !poison.includes(id)),
    ),
    [],
  )
  t.match(await booksOf(stand, ACCOUNT), { received: 200, delivered: 197, rejected: 3, queued: 0 })
})
