/** What is counted in bytes where several replicas bring it, and in a database of an older relay. */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { startPostgres } from '../../support/postgres.ts'
import { makeDead, makeParcel, NOW_MS } from '../parcels.ts'
import { layGround } from './ground.ts'

const server = await startPostgres()
t.teardown(() => server.close())

t.test('the bytes of what an older relay buried are counted', async (t) => {
  const ground = await layGround(t, server)
  const first = await ground.open()
  for (const adAccountId of ['1', '2']) {
    const { parcelId } = await first.store.commit(makeParcel(['a', 'b'], { adAccountId }))
    const dead = [makeDead(0), makeDead(1)]
    await first.store.settle([{ parcelId: parcelId!, delivered: [], dead, settledAtMs: NOW_MS }])
  }
  const books = await first.store.books({})
  const { deadLetterBytes } = await first.store.size()
  t.ok(deadLetterBytes > 0)
  await first.close()

  await ground.ask('DROP INDEX pinrelay.dead_letters_by_death')
  await ground.ask('ALTER TABLE pinrelay.books DROP COLUMN dead_bytes')
  await ground.ask('UPDATE pinrelay.schema_version SET version = 1')
  const { store } = await ground.open()
  t.match(await store.size(), { deadLetterBytes })
  t.same(await store.books({}), books)
  t.match(await store.trimDeadLetters({ diedBeforeMs: NOW_MS + 1, limit: 9 }), { tooOld: 4 })
  t.match(await store.size(), { deadLetterBytes: 0 })
})

t.test('an account is over its share whichever replica took its posts, and refused by all', async (t) => {
  const ground = await layGround(t, server)
  const limit = { storeLimitBytes: 200_000 }
  const [one, two] = [await ground.open(limit), await ground.open(limit)]
  const post = (adAccountId: string, n: number) => makeParcel([`${n}-${'x'.repeat(5000)}`], { adAccountId })
  for (let n = 0, isOver = false; !isOver; n++) {
    isOver = await one.store.commit(post('1', n)).then(
      () => false,
      () => true,
    )
  }
  // The other one looks at most once a second, when a post comes.
  for (const endMs = performance.now() + 10_000; performance.now() < endMs; await pause(10)) {
    if ((await two.store.size()).overShare.length > 0) break
  }
  t.match(await two.store.size(), { isFull: false, overShare: ['1'] })
  await t.rejects(two.store.commit(post('1', -1)), { code: 'STORE_UNAVAILABLE' })
  await t.resolves(two.store.commit(post('2', -1)))
})

t.test('replicas that delete dead letters at the same time delete no more than they have to', async (t) => {
  const ground = await layGround(t, server)
  const limit = { storeLimitBytes: 400_000 }
  const [one, two] = [await ground.open(limit), await ground.open(limit)]
  const ids = Array.from({ length: 100 }, (_, n) => `${n}-${'x'.repeat(800)}`)
  const { parcelId } = await one.store.commit(makeParcel(ids))
  const dead = ids.map((_, index) => makeDead(index))
  await one.store.settle([{ parcelId: parcelId!, delivered: [], dead, settledAtMs: NOW_MS }])
  const before = await one.store.size()
  let removed = 0
  for (let found = -1; found !== 0; removed += found) {
    const steps = await Promise.all(
      [one, two, one, two].map(({ store }) => store.trimDeadLetters({ diedBeforeMs: 0, limit: 100 })),
    )
    found = steps.reduce((sum, { overPart }) => sum + overPart, 0)
  }
  const { deadLetterBytes } = await two.store.size()
  const letterBytes = before.deadLetterBytes / ids.length
  t.ok(deadLetterBytes <= 40_000 && deadLetterBytes > 40_000 - 2 * letterBytes, `${deadLetterBytes} are left`)
  t.equal((await two.store.deadLetters({ limit: 200 })).length, ids.length - removed)
})
