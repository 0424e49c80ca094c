/** What rows of the event trail hold, and that it is read as it was written: senders and names of events are there once. */
import t from 'tap'
import { postsOfBucket } from '../../../src/store/core/trail-posts.ts'
import { createTrailWriter } from '../../../src/store/core/trail.ts'
import { NOW_MS, NOW_S } from '../batches.ts'

const SENDERS = [
  { adAccountId: '1', isTest: false, keyId: 'key-1', source: undefined },
  { adAccountId: '1', isTest: true, keyId: 'key-1', source: undefined },
  { adAccountId: '1', isTest: false, keyId: 'key-2', source: undefined },
  { adAccountId: '1', isTest: false, keyId: undefined, source: 'shop' },
  { adAccountId: '2', isTest: false, keyId: 'key-1', source: undefined },
]

function postedAs(eventName: string | undefined, nth: number) {
  const trailIds = { eventId: `e-${nth}`, orderId: nth % 2 === 0 ? undefined : `o-${nth}` }
  return { eventName, trailIds, eventTimeS: NOW_S - nth, status: 'prepared', warnings: [] } as const
}

t.test('posts of many senders in one row keep whose they are, and when they came', async (t) => {
  let nowMs = NOW_MS
  const writer = createTrailWriter(true, () => nowMs++)
  // Each twice, and one that came before the row was begun.
  const posts = [...SENDERS, ...SENDERS].map((sender, nth) => ({
    ...sender,
    receivedAtMs: NOW_MS - 5 + 2 * nth,
    events: [postedAs('checkout', nth)] as const,
  }))
  for (const [batchId, post] of posts.entries()) writer.post(batchId, post, [])
  const rows = writer.rows()
  t.equal(rows.length, 1)
  t.equal(rows[0]!.received_at_ms, posts.at(-1)!.receivedAtMs)
  const found = postsOfBucket(rows).map((post) => post.events({})[0]!)
  t.match(
    found,
    posts.map(({ events: [{ trailIds, ...event }], ...post }) => ({
      ...post,
      ...trailIds,
      eventName: event.eventName,
      eventTimeS: event.eventTimeS,
      history: [{ atMs: post.receivedAtMs }, { reason: 'committed' }],
    })),
  )
  t.ok(found.every(({ history }) => history[1]!.atMs >= NOW_MS && history[1]!.atMs < nowMs))
})

t.test(
  'each event of a post keeps its name, however many there are, and personal ones are left out',
  async (t) => {
    const names = Array.from({ length: 40 }, (_, nth) => `name-${nth}`)
    const given = [...names, 'jane@example.com', undefined, ...names.toReversed()]
    const writer = createTrailWriter(true, () => NOW_MS)
    writer.post(7, { ...SENDERS[0]!, receivedAtMs: NOW_MS, events: given.map(postedAs) }, [])
    const events = postsOfBucket(writer.rows())[0]!.events({})
    t.same(
      events.map(({ eventName }) => eventName),
      given.map((name) => (name === 'jane@example.com' ? undefined : name)),
    )
  },
)

t.test('a large row is compressed, a small one is not', async (t) => {
  const bytesOf = (count: number) => {
    const writer = createTrailWriter(true, () => NOW_MS)
    const events = Array.from({ length: count }, (_, nth) => postedAs('checkout', nth))
    writer.post(7, { ...SENDERS[0]!, receivedAtMs: NOW_MS, events }, [])
    const [row] = writer.rows()
    t.equal(postsOfBucket([row!])[0]!.events({}).length, count)
    return row!.entries
  }
  t.match(Buffer.from(bytesOf(10)).toString(), '"checkout"')
  t.ok(bytesOf(1000).byteLength < 12_000)
})

t.test('a row with a flipped bit is read or left out, and never fails the others', async (t) => {
  const writer = createTrailWriter(true, () => NOW_MS)
  for (const [batchId, sender] of SENDERS.entries()) {
    writer.post(batchId, { ...sender, receivedAtMs: NOW_MS, events: [postedAs('checkout', batchId)] }, [])
    writer.outcome({ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS })
  }
  // Of these an entry has all that it can have.
  const failures = [{ atMs: NOW_MS, reason: 'timeout' }]
  const died = { status: 'rejected', reason: 'refused', attempts: 1, history: failures } as const
  const warnings = [{ code: 'unknown_currency', message: '' }]
  for (const [delivered, index] of [
    [[0, 1], 2],
    [[], 0],
    ['rest', 1],
  ] as const) {
    const batchId = SENDERS.length + index
    const events = [0, 1, 2].map((nth) => ({ ...postedAs('checkout', nth), warnings }))
    writer.post(batchId, { ...SENDERS[0]!, receivedAtMs: NOW_MS, events }, [2])
    const dead = [{ index, ...died }]
    writer.outcome({ batchId, delivered, dead, failures, acknowledgedAtMs: NOW_MS })
  }
  const [row] = writer.rows()
  let left = 0
  for (let bit = 0; bit < row!.entries.byteLength * 8; bit++) {
    const entries = Uint8Array.from(row!.entries)
    entries[bit >> 3]! ^= 1 << (bit & 7)
    const found = postsOfBucket([{ ...row!, entries }])
    for (const one of found) one.events({})
    if (found.length === 0) left += 1
  }
  t.ok(left > 0)
})
