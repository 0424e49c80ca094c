/** What is left when the process dies at any moment: everything that was kept, and nothing that was acknowledged. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { splitEvents } from '../../../src/store/payload.ts'
import { openSqlite } from '../../support/stores.ts'
import type { StoreProblem } from '../../../src/store/engine/operations.ts'
import { askAll, readTrail } from '../batches.ts'
import { RESERVED_BYTES, startCommitter } from './ground.ts'

t.test('kill -9 loses nothing that was kept', async (t) => {
  const path = join(t.testdir(), 'relay.db')
  const masterKey = randomBytes(32)
  const kept = new Set<string>()
  const acknowledged = new Set<string>()
  for (let round = 0; round < 2; round++) {
    const child = startCommitter(path, masterKey, round * 100_000)
    let lines = 0
    child.onLine((line) => {
      lines += 1
      if (line.startsWith('event-')) kept.add(line)
      if (line.startsWith('acknowledged ')) acknowledged.add(line.slice('acknowledged '.length))
    })
    await child.firstLine(() => lines >= 150 + round * 70 || undefined)
    await child.kill()

    const problems: StoreProblem[] = []
    const onProblem = (problem: StoreProblem) => problems.push(problem)
    const { store, close } = await openSqlite({
      path,
      masterKeys: { current: masterKey },
      reservedBytes: RESERVED_BYTES,
      onProblem,
    })
    const batches = await store.lease(askAll())
    const totals = await store.totals({})
    const events = await readTrail(store, {})
    await close()
    const found = new Set(batches.flatMap(({ payload }) => splitEvents(payload)).map(readEventId))
    t.same([...kept].filter((id) => !acknowledged.has(id) && !found.has(id)).filter(isPlain), [])
    t.same(
      [...acknowledged].filter((id) => found.has(id)),
      [],
      'an acknowledgement that was kept stands',
    )
    t.equal(totals.received, totals.delivered + totals.queued, 'the totals balance')
    t.equal(totals.queued, found.size)
    t.equal(events.length, totals.received, 'and the event trail says the same')
    for (const { eventId, outcome } of events) {
      if ((outcome === 'queued') !== found.has(eventId!)) t.fail(`${eventId} is ${outcome}`)
    }
    t.same(problems, [])
  }
})

/** A third is acknowledged right after its acknowledgement, perhaps without having lived to say so. */
function isPlain(eventId: string): boolean {
  return Number(eventId.slice('event-'.length)) % 3 !== 0
}

function readEventId(json: string): string {
  return (JSON.parse(json) as { event_id: string }).event_id
}
