import t from 'tap'
import { createReadiness } from '../../src/ingest/health.ts'
import type { Store, StoreSize } from '../../src/store/store.ts'
import { createManualClock } from '../support/clock.ts'

t.test('an account over its share is refused alone, and logged once a minute', async (t) => {
  const clock = createManualClock()
  const size = {
    usedBytes: 0,
    queuedBytes: 0,
    deadLetterBytes: 0,
    trailBytes: 0,
    diskFreeBytes: 1,
    isFull: false,
    isWritable: true,
    overShare: [] as string[],
  } satisfies StoreSize
  const errors: unknown[] = []
  const readiness = createReadiness({
    store: { size: async () => size } as unknown as Store,
    isStuck: () => false,
    clock,
    log: { debug() {}, info() {}, warn() {}, error: (fields) => void errors.push(fields) },
  })
  t.teardown(() => readiness.close())
  size.overShare = ['1']
  await clock.advance(1000)
  t.equal(readiness.problem(), undefined, 'the relay stays ready')
  t.throws(() => readiness.check('1'), { code: 'STORE_UNAVAILABLE' })
  t.doesNotThrow(() => readiness.check('2'))
  t.same([...readiness.overShare()], ['1'])
  t.same(errors, [{ ad_account_id: '1', reason: 'over_share' }])

  size.overShare = []
  await clock.advance(1000)
  t.doesNotThrow(() => readiness.check('1'))
  size.overShare = ['1', '2']
  await clock.advance(1000)
  t.same(errors.slice(1), [{ ad_account_id: '2', reason: 'over_share' }])
  await clock.advance(61_000)
  t.equal(errors.length, 4, 'both again')
})

t.test('a store that does not answer for ten seconds is stalled until it does', async (t) => {
  const clock = createManualClock()
  const lines: unknown[] = []
  let answer: (size: unknown) => void = () => {}
  const note = (fields: object) => void lines.push(fields)
  const readiness = createReadiness({
    store: { size: () => new Promise((resolve) => void (answer = resolve)) } as unknown as Store,
    isStuck: () => false,
    clock,
    log: { debug() {}, info() {}, warn: note, error: note },
  })
  const told: boolean[] = []
  readiness.onCheck((isStalled) => void told.push(isStalled))
  await clock.advance(9999)
  t.equal(readiness.problem(), undefined)
  t.equal(readiness.answeredAtMs(), clock.wallMs() - 9999)
  await clock.advance(1)
  t.equal(readiness.problem(), 'store_stalled')
  t.throws(() => readiness.check('1'), { code: 'STORE_UNAVAILABLE' })
  t.same(told, [true])
  answer({ isFull: false, isWritable: true, overShare: [] })
  await clock.advance(1)
  t.equal(readiness.problem(), undefined)
  t.equal(readiness.answeredAtMs(), clock.wallMs() - 1)
  t.same(lines, [{ reason: 'store_stalled' }, {}])
  t.same(told, [true, false])
  await clock.advance(12_000)
  t.equal(readiness.problem(), 'store_stalled')
  await readiness.close()
})
