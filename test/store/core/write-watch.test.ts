/** What turns a relay unready, and what turns it ready again. */
import t from 'tap'
import { createWriteWatch, type WriteProblem } from '../../../src/store/core/write-watch.ts'

const READ = {
  usedBytes: 1,
  queuedBytes: 1,
  deadLetterBytes: 0,
  trailBytes: 0,
  diskFreeBytes: 1,
  isFull: false,
  overShare: [],
}
const WELL = { ...READ, isWritable: true }
const FULL = { ...READ, isFull: true, isWritable: true }
const STUCK = { ...READ, isWritable: false }
const judge = (error: unknown) => (error === 'own fault' ? undefined : (error as WriteProblem))

t.test('it stays until a probe succeeds; one probe at a time, and none while all is well', async (t) => {
  const probes: { resolve: () => void; reject: (error: Error) => void }[] = []
  const watch = createWriteWatch({
    judge,
    probe: () => new Promise<void>((resolve, reject) => probes.push({ resolve, reject })),
  })
  const { failed } = watch
  const size = () => watch.size(async () => READ)
  const acknowledged = () => new Promise((resolve) => setImmediate(resolve))
  t.same(await size(), WELL)
  failed('own fault')
  t.same(await size(), WELL)
  t.equal(probes.length, 0)

  failed('full')
  t.same(await size(), FULL)
  t.same(await size(), FULL)
  t.equal(probes.length, 1)
  failed('own fault')
  probes[0]!.reject(new Error('cancelled'))
  await acknowledged()
  t.same(await size(), FULL, 'a probe that fails proves nothing')
  failed('stuck')
  probes[1]!.reject(new Error('not confirmed'))
  await acknowledged()
  t.same(await size(), STUCK)
  probes[2]!.resolve()
  await acknowledged()
  t.same(await size(), WELL)
  t.equal(probes.length, 3)

  failed('full')
  t.same(await size(), FULL)
  failed('full')
  probes[3]!.resolve()
  await acknowledged()
  t.same(await size(), FULL, 'a probe says nothing of a write that failed after its beginning')
  probes[4]!.resolve()
  await acknowledged()
  t.same(await size(), WELL)
})
