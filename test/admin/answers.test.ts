import t from 'tap'
import { Type } from '../../src/type.ts'
import { answerOf } from '../../src/admin/answers.ts'
import { ACCOUNT, enter, postHeld, setUp } from '../support/relay.ts'

const Answer = Type.Closed({
  ad_account_id: Type.String(),
  created_at: Type.Time,
  last_failure: Type.OrNull(Type.Closed({ at: Type.Time, reason: Type.String() })),
  history: Type.Array(Type.Closed({ at: Type.Time })),
  limit: Type.OrNull(Type.Integer()),
})

t.test(
  'an answer has the fields of its schema and no others: times in ISO 8601, null for undefined',
  async (t) => {
    const secret = { accessToken: 'pina_secret' }
    const record = { adAccountId: '7', createdAtMs: 0, limit: undefined, ...secret }
    const failed = {
      ...record,
      lastFailure: { atMs: 1, reason: 'x', ...secret },
      history: [{ atMs: 2, ...secret }],
    }
    t.strictSame(answerOf(Answer, failed), {
      ad_account_id: '7',
      created_at: '1970-01-01T00:00:00.000Z',
      last_failure: { at: '1970-01-01T00:00:00.001Z', reason: 'x' },
      history: [{ at: '1970-01-01T00:00:00.002Z' }],
      limit: null,
    })
    t.equal(answerOf(Answer, { ...failed, lastFailure: undefined }).last_failure, null)
  },
)

t.test('so has each object in a union or in a record of objects', async (t) => {
  const secret = { accessToken: 'pina_secret' }
  const A = Type.Closed({ a: Type.String(), b: Type.Optional(Type.String()) })
  const given = { a: 'x', b: undefined as unknown as string, ...secret }
  for (const schema of [
    Type.Union([Type.Enum(['send']), A]),
    Type.Union([Type.Null(), A]),
    Type.OrNull(A),
    Type.OrNull(Type.Union([A, Type.Enum(['send'])])),
  ])
    t.strictSame(answerOf(schema, given), { a: 'x' }, JSON.stringify(schema))
  t.strictSame(answerOf(Type.Union([Type.Enum(['send']), A]), 'send'), 'send')
  t.strictSame(answerOf(Type.Record(Type.String(), A), { x_y: given }), { x_y: { a: 'x' } })
  t.strictSame(answerOf(Type.OrNull(Type.Record(Type.String(), Type.OrNull(A))), { x: given, y: null }), {
    x: { a: 'x' },
    y: null,
  })
})

t.test('an account says its own problems, each with its urgency, meaning and remedy', async (t) => {
  const stand = await enter(t)
  const oauth = { client_id: '1234', client_secret: 'secret-of-the-app' }
  await stand.admin('PUT', '/accounts/7', { oauth })
  const { body } = await stand.admin('POST', '/accounts/7/pause')
  t.match(body, {
    problems: [
      { status: 'paused', urgency: 2, means: String, action: 'resume', remedy: 'account resume' },
      { status: 'no_token', urgency: 3, means: String, action: 'consent', remedy: /^consent at/ },
    ],
    queues: [],
  })
})

t.test('what is the status of a queue is not repeated as a problem of its account', async (t) => {
  const stand = await setUp(t)
  stand.sandbox.tokens.set([])
  await postHeld(stand, 'unauthorized')
  const { body } = await stand.admin('POST', `/accounts/${ACCOUNT}/pause`)
  t.match(body, { problems: { length: 0 }, queues: [{ status: 'paused', urgency: 2 }] })
})
