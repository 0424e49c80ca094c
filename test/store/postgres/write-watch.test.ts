/** What turns a relay on PostgreSQL unready. */
import t from 'tap'
import { StoreCannotOpen, codeOf } from '../../../src/errors.ts'
import { CommitInDoubt, judgeFailure } from '../../../src/store/postgres/failures.ts'

t.test('which failures say that the next write fails as well', async (t) => {
  t.equal(judgeFailure('53100'), 'full')
  for (const code of ['53200', '53300', '58030', '25006']) t.equal(judgeFailure(code), 'stuck')
  t.equal(judgeFailure(codeOf(new CommitInDoubt())), 'stuck')
  t.equal(judgeFailure(codeOf(new StoreCannotOpen('synchronous_commit = off'))), 'stuck')
  // A conflict, a lock, a statement's own fault, and a database that is away, which reads tell.
  for (const code of ['40001', '55P03', '23505', '57P01', 'ECONNREFUSED', 'Error'])
    t.equal(judgeFailure(code), undefined)
})
