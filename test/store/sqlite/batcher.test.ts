/** The batcher against a worker that the test plays itself. */
import t from 'tap'
import { createBatcher, type BatchReport, type BatcherOptions } from '../../../src/store/sqlite/batcher.ts'
import type {
  Operation,
  OperationKind,
  Outcome,
  ToWorker,
  TravelError,
} from '../../../src/store/sqlite/protocol.ts'
import { createManualClock } from '../../support/clock.ts'

const DONE: Outcome = { status: 'done', answer: undefined }
const UNAVAILABLE: Outcome = {
  status: 'unavailable',
  error: { code: 'ERR_SQLITE_ERROR', message: 'disk full' },
}
const REFUSED: Outcome = { status: 'refused', error: { code: 'RangeError', message: 'no such event' } }

function play({ onWriteFailed, setTimer }: Pick<BatcherOptions, 'onWriteFailed' | 'setTimer'> = {}) {
  const sent: (readonly Operation[])[] = []
  const reports: BatchReport[] = []
  const port = {
    postMessage(message: ToWorker) {
      if (message.kind === 'batch') sent.push(message.operations)
    },
  }
  const batcher = createBatcher({
    port,
    onBatch: (report) => reports.push(report),
    ...(onWriteFailed && { onWriteFailed }),
    ...(setTimer && { setTimer }),
  })
  const answer = (...outcomes: Outcome[]) => batcher.receive({ kind: 'batch', outcomes, durationMs: 1 })
  return { batcher, sent, reports, answer }
}

function commit(bytes: Uint8Array = Buffer.from('{}')) {
  const lane = { adAccountId: '1', isTest: false }
  return {
    ...lane,
    payload: bytes,
    identities: ['n', 'i'],
    eventTimesS: [1],
    refusedCount: 0,
    receivedAtMs: 1,
  }
}

function settle(parcelId: number) {
  return { wholeParcelIds: [parcelId], settledAtMs: 1, others: [] }
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

function kindsOf(operations: readonly Operation[] | undefined): OperationKind[] | undefined {
  return operations?.map(({ kind }) => kind)
}

t.test('what is asked for in one turn leaves together; what comes meanwhile is the next batch', async (t) => {
  const { batcher, sent, reports, answer } = play()
  const first = [batcher.submit('commit', commit()), batcher.submit('commit', commit())]
  t.same(sent, [], 'not before the turn ends')
  await endOfTurn()
  const second = Array.from({ length: 5 }, () => batcher.submit('commit', commit()))
  await endOfTurn()
  t.equal(sent.length, 1, 'one batch at a time')
  answer(DONE, DONE)
  await Promise.all(first)
  t.equal(sent[1]?.length, 5)
  answer(DONE, DONE, DONE, DONE, DONE)
  await Promise.all(second)
  t.same(
    reports.map(({ operationCount }) => operationCount),
    [2, 5],
  )
})

t.test('only the bytes of a payload travel, not the pool that it is a view of', async (t) => {
  const { batcher, sent, answer } = play()
  const pool = new Uint8Array(8192)
  const done = [
    batcher.submit('commit', commit(pool.subarray(10, 14))),
    batcher.submit('commit', commit(pool.subarray(20, 23))),
  ]
  await endOfTurn()
  const payloads = sent[0]!.map(({ request }) => (request as { payload: Uint8Array }).payload)
  t.same(
    payloads.map(({ byteLength, buffer }) => [byteLength, buffer.byteLength]),
    [
      [4, 7],
      [3, 7],
    ],
  )
  answer(DONE, DONE)
  await Promise.all(done)
})

t.test(
  'when the disk fails, a commit rejects; a settlement is tried again, before what is newer',
  async (t) => {
    const { batcher, sent, answer } = play()
    const commitment = batcher.submit('commit', commit())
    const settled = [batcher.submit('settle', settle(1)), batcher.submit('release', { parcels: [] })]
    await endOfTurn()
    const newer = batcher.submit('settle', settle(2))
    answer(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE)
    await t.rejects(commitment, { code: 'STORE_UNAVAILABLE', cause: { message: 'disk full' } })
    t.same(kindsOf(sent[1]), ['settle', 'release', 'settle'])
    t.match(sent[1], [{ request: { wholeParcelIds: [1] } }, {}, { request: { wholeParcelIds: [2] } }])
    answer(DONE, DONE, DONE)
    await Promise.all([...settled, newer])
  },
)

t.test('a failed write of a post is told; a failed read, and what is at fault itself, is not', async (t) => {
  const failures: TravelError[] = []
  const { batcher, answer } = play({ onWriteFailed: (error) => void failures.push(error) })
  const asked = [
    batcher.submit('backlog', undefined),
    batcher.submit('readVault', undefined),
    batcher.submit('settle', settle(1)),
  ]
  await endOfTurn()
  answer(UNAVAILABLE, UNAVAILABLE, REFUSED)
  await Promise.allSettled(asked)
  t.same(failures, [])
  for (const kind of ['commit', 'probeWrite'] as const) {
    const write = batcher.submit(kind, kind === 'commit' ? commit() : undefined)
    await endOfTurn()
    answer(UNAVAILABLE)
    await t.rejects(write)
  }
  t.match(failures, [{ message: 'disk full' }, { message: 'disk full' }])
})

t.test('a settlement alone is tried again after a pause, without anyone asking', async (t) => {
  const clock = createManualClock()
  const { batcher, sent, answer } = play({ setTimer: clock.after })
  const settled = batcher.submit('settle', settle(1))
  await clock.advance(5)
  answer(UNAVAILABLE)
  await clock.advance(99)
  t.equal(sent.length, 1)
  await clock.advance(1)
  t.equal(sent.length, 2)
  answer(DONE)
  await settled
})

t.test('a lone settlement is held until the next operation, whatever that is', async (t) => {
  for (const [kind, request] of [
    ['commit', commit()],
    ['settle', settle(2)],
    ['books', {}],
  ] as const) {
    const clock = createManualClock()
    const { batcher, sent, answer } = play({ setTimer: clock.after })
    const settled = batcher.submit('settle', settle(1))
    await clock.advance(4)
    t.equal(sent.length, 0)
    const next = batcher.submit(kind, request as never)
    await endOfTurn()
    t.match(sent, [[{ kind: 'settle', request: { wholeParcelIds: [1] } }, { kind }]], 'in front of it')
    answer(DONE, DONE)
    await Promise.all([settled, next])
    await clock.advance(100)
    t.equal(sent.length, 1)
  }
})

t.test('a lone settlement is held for 5 ms at most', async (t) => {
  const clock = createManualClock()
  const { batcher, sent, answer } = play({ setTimer: clock.after })
  for (let turn = 1; turn <= 2; turn++) {
    const settled = batcher.submit('settle', settle(turn))
    await clock.advance(4)
    t.equal(sent.length, turn - 1)
    await clock.advance(1)
    t.equal(sent.length, turn)
    answer(DONE)
    await settled
  }
})

t.test('a settlement is not held where others wait, or where posts come together', async (t) => {
  const clock = createManualClock()
  const { batcher, sent, answer } = play({ setTimer: clock.after })
  const commits = [batcher.submit('commit', commit()), batcher.submit('commit', commit())]
  await endOfTurn()
  const gathered = batcher.submit('settle', settle(1))
  answer(DONE, DONE)
  t.same(kindsOf(sent[1]), ['settle'], 'it has waited for a batch already')
  answer(DONE)
  const lone = batcher.submit('settle', settle(2))
  await endOfTurn()
  t.same(kindsOf(sent[2]), ['settle'], 'two posts came together')
  answer(DONE)
  await Promise.all([...commits, gathered, lone])

  const single = batcher.submit('commit', commit())
  await endOfTurn()
  answer(DONE)
  const ofTwo = batcher.submit('settle', { ...settle(3), wholeParcelIds: [3, 4] })
  await endOfTurn()
  t.equal(sent.length, 5, 'a settlement of two posts')
  answer(DONE)
  const held = batcher.submit('settle', settle(5))
  await endOfTurn()
  t.equal(sent.length, 5, 'one post at a time again')
  await clock.advance(5)
  answer(DONE)
  await Promise.all([single, ofTwo, held])
})

t.test('what is held is finished by draining, and rejects when the worker dies', async (t) => {
  const clock = createManualClock()
  const { batcher, sent, answer } = play({ setTimer: clock.after })
  const settled = batcher.submit('settle', settle(1))
  const drained = batcher.drain()
  t.same(kindsOf(sent[0]), ['settle'])
  answer(DONE)
  await Promise.all([settled, drained])

  const other = play({ setTimer: clock.after })
  const rejected = t.rejects(other.batcher.submit('settle', settle(1)), { message: 'gone' })
  other.batcher.fail(new Error('gone'))
  await rejected
  await clock.advance(5)
  t.equal(other.sent.length, 0)
})

t.test('an operation at fault rejects alone, and is not tried again', async (t) => {
  const { batcher, sent, answer } = play()
  const wrong = batcher.submit('settle', settle(1))
  const right = batcher.submit('settle', settle(2))
  await endOfTurn()
  answer(REFUSED, DONE)
  await t.rejects(wrong, { code: 'RangeError', message: 'no such event' })
  await right
  t.equal(sent.length, 1)
})

t.test('draining finishes what was asked for, tries once, and takes nothing more', async (t) => {
  const { batcher, answer } = play()
  const commitment = batcher.submit('commit', commit())
  const settled = batcher.submit('settle', settle(1))
  const drained = batcher.drain()
  await t.rejects(batcher.submit('commit', commit()), { code: 'SHUTTING_DOWN' })
  answer(DONE, UNAVAILABLE)
  await commitment
  await t.rejects(settled, { code: 'STORE_UNAVAILABLE' })
  await t.resolves(drained)
})

t.test('when the worker dies everything rejects, then and later', async (t) => {
  const { batcher } = play()
  const waiting = [batcher.submit('commit', commit()), batcher.submit('settle', settle(1))]
  await endOfTurn()
  const gathered = batcher.submit('backlog', undefined)
  const settled = Promise.allSettled([...waiting, gathered])
  batcher.fail(new Error('gone'))
  t.match(
    await settled,
    Array.from({ length: 3 }, () => ({ status: 'rejected', reason: { message: 'gone' } })),
  )
  await t.rejects(batcher.submit('commit', commit()), { message: 'gone' })
  await t.resolves(batcher.drain())
})
