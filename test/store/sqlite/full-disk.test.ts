/** A disk that is full to the last byte: nothing is lost, what is queued leaves, and no restart is needed. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { splitEvents } from '../../../src/store/payload.ts'
import { openSqlite } from '../../support/stores.ts'
import type { Store } from '../../../src/store/store.ts'
import { mountSmallDisk } from '../../support/small-disk.ts'
import { askAll, makeDead, makeBatch, NOW_MS } from '../batches.ts'

const masterKeys = { current: randomBytes(32) }

/** Commits until it is refused; answers the event ids that were taken. */
async function fillByLoad(store: Store, sizeBytes: number): Promise<string[]> {
  const taken: string[] = []
  for (let isFull = false; !isFull;) {
    const ids = Array.from({ length: 40 }, () => `${randomBytes(6).toString('hex')}-${'x'.repeat(sizeBytes)}`)
    const results = await Promise.allSettled(ids.map((id) => store.commit(makeBatch([id]))))
    const batchIds = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value.batch!.batchId] : []))
    taken.push(...ids.filter((_, index) => results[index]!.status === 'fulfilled').map(shortOf))
    await store.release(batchIds.map((batchId) => ({ batchId, attempts: 0, history: [] })))
    isFull = results.some(({ status }) => status === 'rejected')
  }
  return taken
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

t.test('a burst stops at the watermark, not at the end of the disk', async (t) => {
  const disk = mountSmallDisk(t, '12m')
  if (disk === undefined) return
  const { store, close } = await openSqlite({ path: join(disk.folder, 'relay.db'), masterKeys })
  await store.size()
  const taken = await fillByLoad(store, 6000)
  t.ok(taken.length > 500, `${taken.length} taken`)
  const { usedBytes } = await store.size()
  t.ok(usedBytes < 0.81 * (usedBytes + freeBytes(disk.folder)), `${usedBytes} used`)
  t.equal((await store.totals({})).queued, taken.length)
  await close()
})

for (const fate of ['delivered', 'buried'] as const) {
  t.test(
    `others fill the disk to the last byte: posts are refused, the rest continues, all is ${fate}`,
    async (t) => {
      // Dead letters need some room: a sixteenth of a disk that is much smaller is too little for them.
      const disk = mountSmallDisk(t, fate === 'buried' ? '24m' : '12m')
      if (disk === undefined) return
      const path = join(disk.folder, 'relay.db')
      const reservedSpace = join(disk.folder, 'relay.reserved_space')
      const { store, close } = await openSqlite({ path, masterKeys })
      await store.size()
      t.equal(statSync(reservedSpace).mode & 0o777, 0o600)
      t.ok(statSync(reservedSpace).blocks * 512 >= statSync(reservedSpace).size, 'it is really there')
      const taken = await fillByLoad(store, 4000)

      disk.fill()
      t.equal(freeBytes(disk.folder), 0)
      // Measures the disk, as a commit does ten times a second.
      t.match(await store.size(), { isFull: true })
      await t.rejects(store.commit(makeBatch(['invalid'])), { code: 'STORE_UNAVAILABLE' })
      t.equal((await store.totals({})).queued, taken.length, 'the totals can be read')
      const found: string[] = []
      for (;;) {
        const batches = await store.lease(askAll({ maxEvents: 200 }))
        if (batches.length === 0) break
        for (const { payload } of batches) found.push(...splitEvents(payload).map(eventIdOf))
        await store.acknowledge(
          batches.map(({ batchId }, index) => ({
            batchId,
            delivered: 'rest' as const,
            // A dead letter takes room as well: the batch's own, once it is gone.
            dead: fate === 'buried' && index % 4 === 0 ? [makeDead(0)] : [],
            acknowledgedAtMs: NOW_MS,
          })),
        )
      }
      t.strictSame(found.toSorted(), taken.toSorted(), 'nothing was lost')
      t.equal((await store.totals({})).queued, 0)
      if (fate === 'buried') t.ok(statSync(reservedSpace).size < 300_000, 'the reserved space was given up')

      disk.clear()
      t.match(await store.size(), { isFull: false })
      await t.resolves(store.commit(makeBatch(['taken again'])), 'without a restart')
      t.ok(statSync(reservedSpace).size > 700_000, 'and is made again')
      await close()
    },
  )
}

t.test('a start on a full disk works and drains', async (t) => {
  const disk = mountSmallDisk(t, '12m')
  if (disk === undefined) return
  const path = join(disk.folder, 'relay.db')
  const first = await openSqlite({ path, masterKeys })
  await first.store.size()
  const taken = await fillByLoad(first.store, 4000)
  await first.close()
  disk.fill()
  // With another key there is something to write before it is open.
  const { store, close } = await openSqlite({
    path,
    masterKeys: { current: randomBytes(32), previous: masterKeys.current },
  })
  await t.rejects(store.commit(makeBatch(['invalid'])), { code: 'STORE_UNAVAILABLE' })
  const batches = await store.lease(askAll())
  await store.acknowledge(
    batches.map(({ batchId }) => ({
      batchId,
      delivered: 'rest' as const,
      dead: [],
      acknowledgedAtMs: NOW_MS,
    })),
  )
  t.match(await store.totals({}), { queued: 0, delivered: taken.length })
  await t.resolves(close())
})

t.test('a full disk that has no store yet is named, and nothing else blamed', async (t) => {
  const disk = mountSmallDisk(t, '2m')
  if (disk === undefined) return
  const folder = join(disk.folder, 'data')
  mkdirSync(folder)
  disk.fill()
  await t.rejects(openSqlite({ path: join(folder, 'relay.db'), masterKeys }), {
    code: 'STORE_CANNOT_OPEN',
    message: /^There is no space left on the disk of the store/,
  })
  disk.clear()
  const { store, close } = await openSqlite({ path: join(folder, 'relay.db'), masterKeys })
  await t.resolves(store.commit(makeBatch(['a'])), 'what the failed start left does no harm')
  t.ok(readdirSync(folder).includes('relay.db'))
  await close()
})

function eventIdOf(json: string): string {
  return shortOf((JSON.parse(json) as { event_id: string }).event_id)
}

function shortOf(eventId: string): string {
  return eventId.split('-')[0]!
}
