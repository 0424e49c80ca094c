/** What turns a relay unready, and what turns it ready again. */
import t from 'tap'
import { createWriteWatch, withWriteProblem, type WriteProblem } from '../../../src/store/core/write-watch.ts'

type Failure = WriteProblem | 'own fault'

t.test('it stays until a probe succeeds; one probe at a time, and none while all is well', async (t) => {
  const probes: { resolve: () => void; reject: (error: Error) => void }[] = []
  const watch = createWriteWatch((failure: Failure) => (failure === 'own fault' ? undefined : failure))
  watch.probeWith(() => new Promise<void>((resolve, reject) => probes.push({ resolve, reject })))
  const acknowledged = () => new Promise((resolve) => setImmediate(resolve))
  t.equal(watch.problem(), undefined)
  watch.failed('own fault')
  t.equal(watch.problem(), undefined)
  t.equal(probes.length, 0)

  watch.failed('full')
  t.equal(watch.problem(), 'full')
  t.equal(watch.problem(), 'full')
  t.equal(probes.length, 1)
  watch.failed('own fault')
  probes[0]!.reject(new Error('cancelled'))
  await acknowledged()
  t.equal(watch.problem(), 'full', 'a probe that fails in another way proves nothing')
  watch.failed('stuck')
  probes[1]!.reject(new Error('not confirmed'))
  await acknowledged()
  t.equal(watch.problem(), 'stuck')
  probes[2]!.resolve()
  await acknowledged()
  t.equal(watch.problem(), undefined)
  t.equal(probes.length, 3)
})

t.test('what can be read of the size is read all the same', async (t) => {
  const read = {
    usedBytes: 1,
    queuedBytes: 1,
    deadLetterBytes: 0,
    diskFreeBytes: 1,
    isFull: false,
    overShare: [],
  }
  const watch = createWriteWatch((failure: WriteProblem) => failure)
  const size = () => withWriteProblem(watch, async () => read)
  t.same(await size(), { ...read, isWritable: true })
  watch.failed('full')
  t.same(await size(), { ...read, isFull: true, isWritable: true })
  watch.failed('stuck')
  t.same(await size(), { ...read, isWritable: false })
})
