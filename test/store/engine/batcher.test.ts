/** The batcher against a store that the test plays itself. */
import t from 'tap'
import {
  createBatcher,
  type Batcher,
  type BatcherOptions,
  type GroupReport,
  LARGE_GROUP_BYTES,
} from '../../../src/store/engine/batcher.ts'
import type { Operation, OperationKind, Outcome, Outcomes } from '../../../src/store/engine/operations.ts'
import type { Acknowledgement, NewBatch } from '../../../src/store/store.ts'
import { LARGE_BYTES } from '../../../src/store/engine/work.ts'
import { createManualClock } from '../../support/clock.ts'

const DONE: Outcome = { status: 'done', answer: undefined }
const UNAVAILABLE: Outcome = { status: 'unavailable', error: new Error('disk full') }
const REFUSED: Outcome = { status: 'refused', error: new RangeError('no such event') }

function play(options: Pick<BatcherOptions, 'onWriteFailed' | 'setTimer' | 'signal'> = {}) {
  const sent: (readonly Operation[])[] = []
  const reports: GroupReport[] = []
  let conclude: (outcomes: Outcomes) => void = () => undefined
  const batching = createBatcher({
    run(operations) {
      sent.push(operations)
      return new Promise((resolve) => void (conclude = resolve))
    },
    onGroup: (report) => reports.push(report),
    ...options,
  })
  const batcher: Batcher = {
    ...batching,
    /** What rejects is looked at after the group's answer. */
    submit(kind, request) {
      const answered = batching.submit(kind, request)
      answered.catch(() => undefined)
      return answered
    },
  }
  /** Of the group that was sent last; what has gathered is sent then. */
  async function answer(...outcomes: Outcome[]): Promise<void> {
    conclude(new Map(sent.at(-1)!.map((operation, index) => [operation, outcomes[index]!])))
    await endOfTurn()
    await endOfTurn()
  }
  return { batcher, sent, reports, answer }
}

function commit(bytes: Uint8Array = Buffer.from('{}')) {
  const queue = { adAccountId: '1', isTest: false }
  return {
    ...queue,
    payload: bytes,
    events: [],
    keys: [],
    receivedAtMs: 1,
  }
}

function acknowledge(batchId: number): readonly Acknowledgement[] {
  return [{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: 1 }]
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

function kindsOf(operations: readonly Operation[] | undefined): OperationKind[] | undefined {
  return operations?.map(({ kind }) => kind)
}

t.test('what is asked for in one turn leaves together; what comes meanwhile is the next group', async (t) => {
  const { batcher, sent, reports, answer } = play()
  const first = [batcher.submit('commit', commit()), batcher.submit('commit', commit())]
  t.same(sent, [], 'not before the turn ends')
  await endOfTurn()
  const second = Array.from({ length: 5 }, () => batcher.submit('commit', commit()))
  await endOfTurn()
  t.equal(sent.length, 1, 'one group at a time')
  await answer(DONE, DONE)
  await Promise.all(first)
  t.equal(sent[1]?.length, 5)
  await answer(DONE, DONE, DONE, DONE, DONE)
  await Promise.all(second)
  t.same(
    reports.map(({ operationCount }) => operationCount),
    [2, 5],
  )
})

t.test(
  'when the disk fails, a commit rejects; an acknowledgement is tried again, before what is newer',
  async (t) => {
    const { batcher, sent, answer } = play()
    const commitment = batcher.submit('commit', commit())
    const acknowledged = [batcher.submit('acknowledge', acknowledge(1)), batcher.submit('release', [])]
    await endOfTurn()
    const newer = batcher.submit('acknowledge', acknowledge(2))
    await answer(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE)
    await t.rejects(commitment, { code: 'STORE_UNAVAILABLE', cause: { message: 'disk full' } })
    t.same(kindsOf(sent[1]), ['acknowledge', 'release', 'acknowledge'])
    t.match(sent[1], [{ request: [{ batchId: 1 }] }, {}, { request: [{ batchId: 2 }] }])
    await answer(DONE, DONE, DONE)
    await Promise.all([...acknowledged, newer])
  },
)

t.test('a failed write of a post is logged; a failed read, or one that caused it, is not', async (t) => {
  const failures: unknown[] = []
  const { batcher, answer } = play({ onWriteFailed: (error) => void failures.push(error) })
  const asked = [
    batcher.submit('backlog', undefined),
    batcher.submit('totals', {}),
    batcher.submit('acknowledge', acknowledge(1)),
  ]
  await endOfTurn()
  await answer(UNAVAILABLE, UNAVAILABLE, REFUSED)
  await Promise.allSettled(asked)
  t.same(failures, [])
  for (const kind of ['commit', 'probeWrite'] as const) {
    const write = batcher.submit(kind, kind === 'commit' ? commit() : undefined)
    await endOfTurn()
    await answer(UNAVAILABLE)
    await t.rejects(write)
  }
  t.match(failures, [{ message: 'disk full' }, { message: 'disk full' }])
})

t.test('an acknowledgement alone is tried again after a pause, without anyone asking', async (t) => {
  const clock = createManualClock()
  const { batcher, sent, answer } = play({ setTimer: clock.after })
  const acknowledged = batcher.submit('acknowledge', acknowledge(1))
  await clock.advance(5)
  await answer(UNAVAILABLE)
  await clock.advance(99)
  t.equal(sent.length, 1)
  await clock.advance(1)
  t.equal(sent.length, 2)
  await answer(DONE)
  await acknowledged
})

t.test('a lone acknowledgement is held until the next operation, whatever that is', async (t) => {
  for (const [kind, request] of [
    ['commit', commit()],
    ['acknowledge', acknowledge(2)],
    ['totals', {}],
  ] as const) {
    const clock = createManualClock()
    const { batcher, sent, answer } = play({ setTimer: clock.after })
    const acknowledged = batcher.submit('acknowledge', acknowledge(1))
    await clock.advance(4)
    t.equal(sent.length, 0)
    const next = batcher.submit(kind, request)
    await endOfTurn()
    t.match(sent, [[{ kind: 'acknowledge', request: [{ batchId: 1 }] }, { kind }]], 'in front of it')
    await answer(DONE, DONE)
    await Promise.all([acknowledged, next])
    await clock.advance(100)
    t.equal(sent.length, 1)
  }
})

t.test('a lone acknowledgement is held for 5 ms at most', async (t) => {
  const clock = createManualClock()
  const { batcher, sent, answer } = play({ setTimer: clock.after })
  for (let turn = 1; turn <= 2; turn++) {
    const acknowledged = batcher.submit('acknowledge', acknowledge(turn))
    await clock.advance(4)
    t.equal(sent.length, turn - 1)
    await clock.advance(1)
    t.equal(sent.length, turn)
    await answer(DONE)
    await acknowledged
  }
})

t.test('an acknowledgement is not held where others wait, or where posts come together', async (t) => {
  const clock = createManualClock()
  const { batcher, sent, answer } = play({ setTimer: clock.after })
  const commits = [batcher.submit('commit', commit()), batcher.submit('commit', commit())]
  await endOfTurn()
  const gathered = batcher.submit('acknowledge', acknowledge(1))
  await answer(DONE, DONE)
  t.same(kindsOf(sent[1]), ['acknowledge'], 'it has waited for a group already')
  await answer(DONE)
  const lone = batcher.submit('acknowledge', acknowledge(2))
  await endOfTurn()
  t.same(kindsOf(sent[2]), ['acknowledge'], 'two posts came together')
  await answer(DONE)
  await Promise.all([...commits, gathered, lone])

  const single = batcher.submit('commit', commit())
  await endOfTurn()
  await answer(DONE)
  const ofTwo = batcher.submit('acknowledge', [...acknowledge(3), ...acknowledge(4)])
  await endOfTurn()
  t.equal(sent.length, 5, 'an acknowledgement of two posts')
  await answer(DONE)
  const held = batcher.submit('acknowledge', acknowledge(5))
  await endOfTurn()
  t.equal(sent.length, 5, 'one post at a time again')
  await clock.advance(5)
  await answer(DONE)
  await Promise.all([single, ofTwo, held])
})

t.test('what is held is finished by draining', async (t) => {
  const clock = createManualClock()
  const { batcher, sent, answer } = play({ setTimer: clock.after })
  const acknowledged = batcher.submit('acknowledge', acknowledge(1))
  const drained = batcher.drain()
  t.same(kindsOf(sent[0]), ['acknowledge'])
  await answer(DONE)
  await Promise.all([acknowledged, drained])
})

t.test('an operation at fault rejects alone, and is not tried again', async (t) => {
  const { batcher, sent, answer } = play()
  const wrong = batcher.submit('acknowledge', acknowledge(1))
  const right = batcher.submit('acknowledge', acknowledge(2))
  await endOfTurn()
  await answer(REFUSED, DONE)
  await t.rejects(wrong, new RangeError('no such event'))
  await right
  t.equal(sent.length, 1)
})

t.test('draining finishes what was asked for, tries once, and takes nothing more', async (t) => {
  const { batcher, answer } = play()
  const commitment = batcher.submit('commit', commit())
  const acknowledged = batcher.submit('acknowledge', acknowledge(1))
  const drained = batcher.drain()
  await t.rejects(batcher.submit('commit', commit()), { code: 'SHUTTING_DOWN' })
  await answer(DONE, UNAVAILABLE)
  await commitment
  await t.rejects(acknowledged, { code: 'STORE_UNAVAILABLE' })
  await t.resolves(drained)
})

t.test('once it is aborted nothing is retried, and what waits for that is tried a last time', async (t) => {
  const stop = new AbortController()
  const clock = createManualClock()
  const { batcher, sent, answer } = play({ signal: stop.signal, setTimer: clock.after })
  const waiting = batcher.submit('release', [])
  await endOfTurn()
  await answer(UNAVAILABLE)
  t.equal(clock.pendingTimers(), 1, 'in its pause')
  stop.abort()
  t.equal(sent.length, 2)
  const late = batcher.submit('acknowledge', acknowledge(1))
  await answer(UNAVAILABLE)
  await t.rejects(waiting, { code: 'STORE_UNAVAILABLE' })
  await clock.advance(100)
  await answer(UNAVAILABLE)
  await t.rejects(late, { code: 'STORE_UNAVAILABLE' })
  t.equal(clock.pendingTimers(), 0)
})

t.test('large commits leave apart, in turns with what is small', async (t) => {
  const { batcher, sent, answer } = play()
  const large = () => batcher.submit('commit', commit(new Uint8Array(LARGE_GROUP_BYTES)))
  const isLarge = (request: unknown) => (request as NewBatch).payload.byteLength >= LARGE_BYTES
  const all = [
    large(),
    large(),
    batcher.submit('commit', commit()),
    batcher.submit('acknowledge', acknowledge(1)),
  ]
  await endOfTurn()
  t.same(kindsOf(sent[0]), ['commit', 'acknowledge'])
  all.push(batcher.submit('commit', commit()))
  await answer(DONE, DONE)
  t.same(
    sent[1]?.map(({ request }) => isLarge(request)),
    [true],
    'small ones do not hold it up for ever',
  )
  await answer(DONE)
  t.same(
    sent[2]?.map(({ request }) => isLarge(request)),
    [false],
    'nor it them',
  )
  await answer(DONE)
  t.same(
    sent[3]?.map(({ request }) => isLarge(request)),
    [true],
  )
  await answer(DONE)
  await Promise.all(all)
})

t.test('large commits share a group of bounded size', async (t) => {
  const { batcher, sent, answer } = play()
  const all = [0.4, 0.4, 0.4, 1].map((part) =>
    batcher.submit('commit', commit(new Uint8Array(part * LARGE_GROUP_BYTES))),
  )
  await endOfTurn()
  for (const [turn, count] of [2, 1, 1].entries()) {
    t.equal(sent[turn]?.length, count)
    await answer(...Array.from({ length: count }, () => DONE))
  }
  await Promise.all(all)
})
