import { MessageChannel, type MessagePort } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { InvalidRequest, StoreUnavailable } from '../../../src/errors.ts'
import { connectCalls, type Api, type Calls } from '../../../src/store/engine/calls.ts'

/** Two sides in one thread; what crosses is counted. */
function connect(t: Test, theirs: Api): { calls: Calls<Api>; messages: unknown[]; port: MessagePort } {
  const { port1, port2 } = new MessageChannel()
  const messages: unknown[] = []
  port2.on('message', (message) => void messages.push(message))
  connectCalls(port2, theirs)
  const calls = connectCalls<Api>(port1, {})
  t.teardown(() => port1.close())
  return { calls, messages, port: port1 }
}

const call = (calls: Calls<Api>, name: string, ...args: unknown[]) => calls.call(name, ...(args as never[]))

t.test('calls of one turn travel together, and each gets its answer', async (t) => {
  const { calls, messages } = connect(t, { double: (n: never) => 2 * n, later: async (n: never) => n })
  const answers = await Promise.all([
    call(calls, 'double', 4),
    call(calls, 'later', 5),
    call(calls, 'double', 6),
  ])
  t.same(answers, [8, 5, 12])
  t.equal(messages.length, 1)
})

t.test('answers that come without a wait travel together, however many steps each takes', async (t) => {
  const { calls, port } = connect(t, {
    now: () => 1,
    async later() {
      for (let step = 0; step < 10; step++) await Promise.resolve()
      return 2
    },
  })
  let messages = 0
  port.on('message', () => void messages++)
  t.same(await Promise.all([call(calls, 'now'), call(calls, 'later')]), [1, 2])
  t.equal(messages, 1)
})

t.test('only the bytes of a payload travel, not the pool that it is a view of', async (t) => {
  const seen: Uint8Array[] = []
  const { calls } = connect(t, {
    take({ payload }: { payload: Uint8Array }) {
      seen.push(payload)
      return { batch: { payload: Buffer.alloc(8192, 7).subarray(10, 14) } }
    },
  })
  const pool = new Uint8Array(8192)
  const answers = await Promise.all([
    call(calls, 'take', { payload: pool.subarray(10, 14) }),
    call(calls, 'take', { payload: pool.subarray(20, 23) }),
  ])
  t.same(
    seen.map(({ byteLength, buffer }) => [byteLength, buffer.byteLength]),
    [
      [4, 7],
      [3, 7],
    ],
  )
  const { payload } = (answers[0] as { batch: { payload: Uint8Array } }).batch
  t.same([payload.byteLength, payload.buffer.byteLength], [4, 8])
  t.equal(pool.byteLength, 8192, 'a shared pool stays')
})

t.test('a buffer of its own changes hands', async (t) => {
  const { calls } = connect(t, {
    size: ({ payload }: { payload: Uint8Array }) => payload.byteLength,
  })
  const own = new Uint8Array(100_000)
  t.equal(await call(calls, 'size', { payload: own }), 100_000)
  t.equal(own.byteLength, 0, 'it is gone here')
})

t.test('errors of the table arrive as what they are; others keep their code', async (t) => {
  const { calls } = connect(t, {
    known() {
      throw new InvalidRequest('data: must be an array.')
    },
    fixed: async () => {
      throw new StoreUnavailable()
    },
    other() {
      throw new RangeError('no such event')
    },
  })
  const error = await call(calls, 'known').catch((reason: unknown) => reason)
  t.ok(error instanceof InvalidRequest)
  t.match(error, { statusCode: 400, code: 'INVALID_REQUEST', message: 'data: must be an array.' })
  t.match(await call(calls, 'fixed').catch((reason: unknown) => reason), {
    statusCode: 503,
    message: new StoreUnavailable().message,
  })
  t.match(await call(calls, 'other').catch((reason: unknown) => reason), {
    code: 'RangeError',
    message: 'no such event',
    stack: /calls\.test\.ts/,
  })
})

t.test('when the other side is gone everything rejects, then and later', async (t) => {
  const { calls } = connect(t, { never: () => new Promise(() => undefined) })
  const waiting = call(calls, 'never')
  calls.fail(new Error('gone'))
  await t.rejects(waiting, { message: 'gone' })
  await t.rejects(call(calls, 'never'), { message: 'gone' })
})
