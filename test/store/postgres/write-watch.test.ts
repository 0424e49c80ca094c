/** What turns a relay on PostgreSQL unready, and what turns it ready again. */
import t from 'tap'
import { StoreCannotOpen } from '../../../src/errors.ts'
import { CommitInDoubt } from '../../../src/store/postgres/connect.ts'
import { createWriteWatch, judgeFailure } from '../../../src/store/postgres/write-watch.ts'

const databaseError = (code: string) => Object.assign(new Error('x'), { code, severity: 'ERROR' })

t.test('which failures say that the next write fails as well', async (t) => {
  t.equal(judgeFailure(databaseError('53100')), 'full')
  for (const code of ['53200', '53300', '58030', '25006']) t.equal(judgeFailure(databaseError(code)), 'stuck')
  t.equal(judgeFailure(new CommitInDoubt()), 'stuck')
  t.equal(judgeFailure(new StoreCannotOpen('synchronous_commit = off')), 'stuck')
  // A conflict, a lock, a statement's own fault, and a database that is away, which reads tell.
  for (const code of ['40001', '55P03', '23505', '57P01'])
    t.equal(judgeFailure(databaseError(code)), undefined)
  t.equal(judgeFailure(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })), undefined)
})

t.test('it stays until a probe succeeds; one probe at a time, and none while all is well', async (t) => {
  const probes: { resolve: () => void; reject: (error: Error) => void }[] = []
  const watch = createWriteWatch()
  watch.probeWith(() => new Promise<void>((resolve, reject) => probes.push({ resolve, reject })))
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  t.equal(watch.problem(), undefined)
  watch.failed(databaseError('23505'))
  t.equal(watch.problem(), undefined)
  t.equal(probes.length, 0)

  watch.failed(databaseError('53100'))
  t.equal(watch.problem(), 'full')
  t.equal(watch.problem(), 'full')
  t.equal(probes.length, 1)
  probes[0]!.reject(databaseError('57014'))
  await settled()
  t.equal(watch.problem(), 'full', 'a probe that fails in another way proves nothing')
  probes[1]!.reject(new CommitInDoubt())
  await settled()
  t.equal(watch.problem(), 'stuck')
  probes[2]!.resolve()
  await settled()
  t.equal(watch.problem(), undefined)
  t.equal(probes.length, 3)
})
