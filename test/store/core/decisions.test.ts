/** What the operations decide, without a database: what SQLite and PostgreSQL load and save is the contract's (test/contract/store.ts). */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { acknowledgeBatch, makeDeadLetters } from '../../../src/store/core/acknowledge.ts'
import { planCommit } from '../../../src/store/core/commit.ts'
import { createTotalCounts } from '../../../src/store/core/totals.ts'
import { expireBatch } from '../../../src/store/core/expire.ts'
import { listRanges, openBatch } from '../../../src/store/core/lease.ts'
import { type BatchRow, listPositions } from '../../../src/store/core/rows.ts'
import { createCompressor, decompress, dedupeKey, openDeadLetter } from '../../../src/store/core/sealed.ts'
import { splitEvents } from '../../../src/store/payload.ts'
import type { Acknowledgement } from '../../../src/store/store.ts'
import { createSealer } from '../../../src/vault/seal.ts'
import fc from '../../support/fast-check.ts'
import { LIVE, makeBatch, makeDead, NOW_MS, NOW_S, TEST } from '../batches.ts'

const current = randomBytes(32)
const sealer = createSealer({ current })

function plan(
  ids: readonly string[],
  queue = LIVE,
  duplicates: readonly number[] = [],
  eventTimesS = ids.map(() => NOW_S),
) {
  const { stored, counts } = planCommit(makeBatch(ids, { ...queue, eventTimesS }), 7, duplicates, sealer)
  return { ...stored, counts }
}

function batchOf(ids: readonly string[], queue = LIVE, eventTimesS?: readonly number[]): BatchRow {
  return plan(ids, queue, [], eventTimesS as number[] | undefined).row!
}

function acknowledgement(changes: Partial<Acknowledgement>): Acknowledgement {
  return { batchId: 7, delivered: [], dead: [], acknowledgedAtMs: NOW_MS, ...changes }
}

t.test('a commit stores what is left without the duplicates, and counts both', async (t) => {
  const { row, batch, counts } = plan(['a', 'b', 'c'], LIVE, [1], [NOW_S, NOW_S - 9, NOW_S - 5])
  t.match(row, { event_count: 2, pending_count: 2, oldest_event_time_s: NOW_S - 5, is_replay: false })
  t.match(counts, { received: 3, duplicate: 1, queued: 2, batches: 1, bytes: row!.size_bytes })
  t.equal(splitEvents(openBatch(row!, sealer)!.payload).length, 2)
  t.same(batch, openBatch(row!, sealer))
  const none = plan(['a', 'b'], LIVE, [0, 1])
  t.equal(none.row, undefined)
  t.match(none.counts, { received: 2, duplicate: 2, queued: undefined })
})

t.test('test events have no keys; the key of a live one is of its account, name and id', async (t) => {
  t.same(makeBatch(['a', 'b'], TEST).keys, [])
  const [first, second] = makeBatch(['a', 'a']).keys
  t.same(first, second)
  t.notSame(dedupeKey('1', '2', '3'), dedupeKey('12', '', '3'))
})

t.test('acknowledgements in any order leave the same batch, and every event counts once', async () => {
  const aPosition = fc.integer({ min: 0, max: 5 })
  const anAcknowledgement = fc.record({
    delivered: fc.oneof(fc.constant('rest' as const), fc.array(aPosition)),
    dead: fc.array(fc.record({ index: aPosition, isExpired: fc.boolean() })),
  })
  fc.assert(
    fc.property(fc.array(anAcknowledgement, { maxLength: 6 }), (all) => {
      let row = batchOf(['a', 'b', 'c', 'd', 'e', 'f'])
      const totals = createTotalCounts()
      for (const { delivered, dead } of all) {
        if (row.pending_count === 0) break
        const died = dead.map(({ index, isExpired }) => makeDead(index, isExpired ? 'expired' : 'rejected'))
        const done = acknowledgeBatch(row, acknowledgement({ delivered, dead: died }))
        totals.count(LIVE, done.counts)
        row = { ...row, pending_count: done.pendingCount, acknowledged: done.acknowledged }
      }
      totals.count(LIVE, {})
      const { delivered, rejected, expired, queued, batches, bytes } = totals.take()[0]![1]
      const isGone = row.pending_count === 0
      if (delivered + rejected + expired !== 6 - row.pending_count) throw new Error('an event counts twice')
      if (queued !== row.pending_count - 6 || batches !== (isGone ? -1 : 0)) throw new Error('queued')
      if (bytes !== (isGone ? -row.size_bytes : 0)) throw new Error('bytes')
    }),
  )
})

t.test(
  'an acknowledgement changes nothing of the row it is given; a position that is not there throws',
  async (t) => {
    const row = { ...batchOf(['a', 'b']), acknowledged: new Uint8Array(1) }
    t.same(listPositions(acknowledgeBatch(row, acknowledgement({ delivered: [1] })).acknowledged), [1])
    t.same(row.acknowledged, new Uint8Array(1))
    for (const position of [2, -1, Number.NaN]) {
      t.throws(() => acknowledgeBatch(row, acknowledgement({ delivered: [position] })), RangeError)
      t.throws(() => acknowledgeBatch(row, acknowledgement({ dead: [makeDead(position)] })), RangeError)
    }
  },
)

t.test('a dead letter keeps its event sealed; the key of a live one is forgotten', async (t) => {
  const { rows, keys } = makeDeadLetters(batchOf(['a', 'b']), [makeDead(1)], NOW_MS + 5, sealer)
  t.match(rows, [{ event_id: 'b', status: 'rejected', first_seen_at_ms: NOW_MS, died_at_ms: NOW_MS + 5 }])
  t.match(openDeadLetter(sealer, LIVE, rows[0]!.sealed), { message: makeDead(1).message, json: /"b"/ })
  t.same(keys, makeBatch(['b']).keys)
  t.same(makeDeadLetters(batchOf(['a'], TEST), [makeDead(0)], NOW_MS, sealer).keys, [])
  const { rows: nul } = makeDeadLetters(batchOf(['a\0']), [makeDead(0)], NOW_MS, sealer)
  t.equal(nul[0]!.event_id, 'a\uFFFD', 'which PostgreSQL cannot hold')
})

t.test(
  'of a waiting batch the pending events that are too old expire, and the oldest of the rest is known',
  async (t) => {
    const row = batchOf(['a', 'b', 'c', 'd'], LIVE, [NOW_S - 9, NOW_S - 8, NOW_S - 1, NOW_S - 2])
    const request = { oldestEventTimeS: NOW_S - 5, limit: 1, nowMs: NOW_MS }
    const acknowledged = Uint8Array.of(1)
    const expired = expireBatch({ ...row, acknowledged, pending_count: 3, attempts: 2 }, request, sealer)!
    t.equal(expired.oldestS, NOW_S - 2)
    t.match(expired.acknowledgement, { dead: [{ index: 1, reason: 'too_old', attempts: 2 }], delivered: [] })
    t.equal(expired.acknowledgement.dead.length, 1)
    t.equal(expireBatch(row, { ...request, oldestEventTimeS: NOW_S + 1 }, sealer)!.oldestS, undefined)
    t.equal(expireBatch({ ...row, sealed: new Uint8Array(90) }, request, sealer), undefined)
    const damaged = { ...row, acknowledged: Uint8Array.of(0b1111) }
    t.equal(expireBatch(damaged, request, sealer), undefined, 'or every step would find it again')
    t.equal(
      expireBatch({ ...row, pending_count: 1 }, request, sealer),
      undefined,
      'or they would expire again and again',
    )
    t.equal(expireBatch({ ...row, event_count: 1 }, request, sealer), undefined)
  },
)

t.test('a lease goes over what is on time, what is late, and replays', async (t) => {
  const ranges = listRanges(NOW_MS)
  t.same(
    ranges.map(({ isReplay }) => isReplay),
    [false, false, true],
  )
  t.equal(ranges[0]!.aboveS, NOW_S - 3600)
  t.equal(ranges[1]!.uptoS, NOW_S - 3600)
})

t.test('what is sealed for one queue opens for no other', async (t) => {
  const row = batchOf(['a'])
  t.match(openBatch(row, sealer), { ...LIVE, batchId: 7, acknowledged: [], history: [] })
  t.equal(openBatch({ ...row, is_test: true }, sealer), undefined)
  t.equal(openBatch({ ...row, ad_account_id: '1' }, sealer), undefined)
})

t.test('payloads that are compressed at the same time are each a frame of their own', async (t) => {
  const compress = createCompressor()
  // The last ones need several chunks, and what is between two chunks.
  const payloads = [1, 5, 700_000, 700_000, 3_000_000, 7].map((bytes) => randomBytes(bytes))
  const compressed = await Promise.all(payloads.map(compress))
  for (const [index, payload] of payloads.entries()) {
    t.ok(payload.equals(decompress(compressed[index]!)), `${payload.byteLength}`)
  }
  const again = Buffer.alloc(100_000, 'again')
  t.ok(again.equals(decompress(await compress(again))))
})

t.test('where zstd fails, all that it was given is rejected', async (t) => {
  const compress = createCompressor({ pledgedSrcSize: 10 })
  const compressed = await Promise.allSettled([100, 700_000, 5].map((bytes) => compress(randomBytes(bytes))))
  t.same(
    compressed.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  )
  await t.rejects(compress(randomBytes(100)), 'and what comes later')
  t.equal(decompress(await compress(randomBytes(10))).byteLength, 10, 'which another stream takes')
})
