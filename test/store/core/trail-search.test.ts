/** Searches of the event trail over posts of many events: they give way, and following shows the latest. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import {
  isCursor,
  searchTrail,
  searchTrailStep,
  showChanges,
  type TrailStepRequest,
} from '../../../src/store/core/trail-search.ts'
import { createTrailWriter } from '../../../src/store/core/trail.ts'
import { makePost, NOW_MS } from '../batches.ts'

const POSTS = 8
const EVENTS = 600

/** One row each, of one bucket. */
const rows = Array.from({ length: POSTS }, (_, batchId) => {
  const writer = createTrailWriter(true, () => NOW_MS)
  const ids = Array.from({ length: EVENTS }, (_event, n) => `${batchId}-${n}`)
  writer.post(batchId, makePost(ids), [])
  return writer.rows()[0]!
})

async function countTurns<T>(run: () => Promise<T>): Promise<readonly [turns: number, answer: T]> {
  let turns = 0
  let isOver = false
  const counting = (async () => {
    for (; !isOver; turns++) await nextTurn()
  })()
  const answer = await run()
  isOver = true
  await counting
  return [turns, answer]
}

t.test(
  'a search lets others run between the rows that it reads and the posts that it puts together',
  async (t) => {
    // However slow the machine is.
    t.intercept(performance, 'now', { value: () => 0 })
    const query = { limit: 10, eventName: 'nothing' }
    const [turns, page] = await countTurns(() =>
      searchTrail(query, async () => ({ rows, nextBucket: undefined })),
    )
    t.same(page.events, [])
    t.ok(turns >= 2 * POSTS, `${turns} turns`)
  },
)

t.test('a walk covers the minute before its beginning, since the clocks of replicas differ', async (t) => {
  function step(received_at_ms: number): number | undefined {
    const steps = searchTrailStep({ fromBucket: 9, sinceMs: NOW_MS }, [])
    steps.next()
    steps.next([{ bucket: 7, received_at_ms }])
    const { value } = steps.next([])
    return value !== undefined && 'nextBucket' in value ? value.nextBucket : NaN
  }
  t.same([step(NOW_MS), step(NOW_MS - 5000), step(0), step(NOW_MS - 61_000)], [6, 6, 6, undefined])
})

t.test('a page ends where the next one begins, also within a post', async (t) => {
  const step = async () => ({ rows, nextBucket: undefined })
  const ids: (string | undefined)[] = []
  for (let cursor: string | undefined = '0.1000399'; cursor !== undefined;) {
    const page = await searchTrail({ limit: 70, cursor }, step)
    ids.push(...page.events.map(({ eventId }) => eventId))
    cursor = page.cursor
  }
  t.same([ids.length, ids[0], ids[399], ids[400], ids.at(-1)], [1000, '1-399', '1-0', '0-599', '0-0'])
})

t.test('a post of another replica that is added before those of a page moves no page after it', async (t) => {
  let visible = [3, 1]
  const step = async () => ({ rows: visible.map((batchId) => rows[batchId]!), nextBucket: undefined })
  const first = await searchTrail({ limit: 800 }, step)
  visible = [3, 1, 2, 0]
  const second = await searchTrail({ limit: 1000, cursor: first.cursor! }, step)
  const ids = [...first.events, ...second.events].map(({ eventId }) => eventId)
  t.equal(new Set(ids).size, 1800, 'none twice')
  t.same([ids[0], ids[599], ids[600], ids[1199], ids[1200]], ['3-599', '3-0', '1-599', '1-0', '0-599'])
})

t.test(
  'a search that takes long continues where it ended, post by post and where nothing is found',
  async (t) => {
    let nowMs = 0
    t.intercept(performance, 'now', { value: () => (nowMs += 1500) })
    const steps: number[] = []
    const step = async ({ fromBucket }: TrailStepRequest) => {
      const bucket = Math.min(fromBucket, 9)
      steps.push(bucket)
      // A bucket in three has something, most of them a post alone, as where posts come one at a time.
      const own = bucket === 0 ? rows : bucket % 3 === 0 ? rows.slice(0, 1) : []
      return {
        rows: own.map(({ entries }) => ({ bucket, entries })),
        nextBucket: bucket === 0 ? undefined : bucket - 1,
      }
    }
    let pages = 0
    let found = 0
    let cursor: string | undefined
    do {
      const page = await searchTrail({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) }, step)
      found += page.events.length
      cursor = page.cursor
      pages += 1
      t.ok(cursor === undefined || isCursor(cursor), `${cursor}`)
    } while (cursor !== undefined && pages < 100)
    t.equal(found, (POSTS + 3) * EVENTS)
    t.ok(pages > 8, `${pages} pages`)
    t.same([...new Set(steps)], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
  },
)

t.test('who follows gets the latest events of many, in their order', async (t) => {
  const fresh = { batchIds: [3, 1, 2], position: 7, rows }
  const [turns, { position, events }] = await countTurns(() => showChanges(fresh))
  t.equal(position, 7)
  t.same([events.length, events[0]?.eventId], [2 * EVENTS, '1-0'])
  t.ok(turns >= POSTS, `${turns} turns`)
})
