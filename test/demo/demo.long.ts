import t from 'tap'
import { checkClaims, foldersOfDemos, startDemo } from './run-demo.ts'

t.test('the demo ends by itself, with 0', async (t) => {
  const demo = startDemo(t)
  t.equal(await demo.ended, 0)
  checkClaims(t, demo.text())
})

t.test('interrupted while its relay is away, it ends all the same and takes its store away', async (t) => {
  const before = await foldersOfDemos()
  const demo = startDemo(t)
  await demo.says('Pinterest recorded none of them')
  const own = (await foldersOfDemos()).filter((name) => !before.includes(name))
  demo.signal('SIGINT')
  t.equal(await demo.ended, 130)
  const left = await foldersOfDemos()
  // Others may belong to a demo that runs at the same time.
  t.ok(own.some((name) => !left.includes(name)))
})
