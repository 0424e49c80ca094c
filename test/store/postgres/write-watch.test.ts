/** What turns a relay on PostgreSQL unready. */
import pg from 'pg'
import t from 'tap'
import { StoreCannotOpen, StoreUnavailable } from '../../../src/errors.ts'
import {
  CommitInDoubt,
  isConnectionLost,
  judgeFailure,
  ofDatabase,
} from '../../../src/store/postgres/failures.ts'

t.test('which failures say that the next write fails as well', async (t) => {
  t.equal(judgeFailure({ code: '53100' }), 'full')
  for (const code of ['53200', '53300', '58030', '25006']) t.equal(judgeFailure({ code }), 'stuck')
  t.equal(judgeFailure(new CommitInDoubt()), 'stuck')
  t.equal(
    judgeFailure(new StoreUnavailable({ cause: new StoreCannotOpen('synchronous_commit = off') })),
    'stuck',
  )
  // A conflict, a lock, a statement's own fault, and a database that is away, which reads tell.
  for (const code of ['40001', '55P03', '23505', '57P01', 'ECONNREFUSED', 'Error'])
    t.equal(judgeFailure({ code }), undefined)
})

t.test(
  "an error is the database's only where a statement rejected with it, and not the value that it was given",
  async (t) => {
    const ofState = (code: string, routine = '') =>
      Object.assign(new pg.DatabaseError('', 0, 'error'), { code, routine })
    for (const [error, isPlace, isLost] of [
      [new Error('Connection terminated unexpectedly'), true, true],
      [ofState('57P01'), true, true],
      [ofState('25P04'), true, true],
      [ofState('42P05'), true, true],
      [ofState('40001'), true, false],
      [ofState('23505'), false, false],
      [ofState('0A000', 'RevalidateCachedQuery'), true, true],
      [ofState('0A000', 'transformLockingClause'), false, false],
      [new TypeError('Converting circular structure to JSON'), false, false],
      [new RangeError('Invalid array length'), false, false],
    ] as const) {
      const found: unknown = await ofDatabase(Promise.reject(error)).catch((found: unknown) => found)
      if (isPlace) t.match(found, { code: 'STORE_UNAVAILABLE', cause: error })
      else t.equal(found, error)
      t.equal(isConnectionLost(found), isLost, error.message || error.name)
    }
  },
)
