import { writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import { formatReports } from './support/format-reports.ts'
import { runFiles } from './support/run-files.ts'

const ROOT = join(import.meta.dirname, '..')

const FILE = `
import t from 'tap'
import fc from '${join(ROOT, 'test/support/fast-check.ts')}'

t.test('outer', async (t) => {
  t.comment('of the outer one')
  await t.test('inner', async (t) => {
    t.comment('round 3')
    t.equal(1, 2, 'one is two')
  })
})
t.test('a property that fails', async () => fc.assert(fc.property(fc.nat(), throwWhy)))
function throwWhy() { throw new Error('the reason why') }
t.test('passes', async (t) => t.comment('unheard'))
`

t.test('what failed is shown with its comments, and the seed that repeats it', async (t) => {
  const file = join(t.testdir(), 'failing.ts')
  writeFileSync(file, FILE)
  const report = await runFiles([relative(ROOT, file)], { root: ROOT, environment: { TEST_SEED: '77' } })
  const text = formatReports([report], { showTimes: false, seed: 77 })
  t.match(text, /✗ outer > inner\n {2}# round 3\n {2}one is two/)
  t.match(text, /✗ a property that fails\n.*\{ seed: 77,.*the reason why/)
  t.notMatch(text, /unheard/)
  t.match(text, /\nTEST_SEED=77 repeats [^\n]*\n1 passed, 2 failed$/)
  t.notMatch(formatReports([{ ...report, failures: [] }], { showTimes: false, seed: 77 }), 'TEST_SEED')
})

t.test(
  'teardowns wait for a file that prepares its tests; one that fails before its first is reported',
  async (t) => {
    const folder = t.testdir({
      'broken.ts': `await Promise.reject(new Error('no server'))`,
      'first.ts': `
import t from 'tap'
t.test('is soon over', async () => {})
`,
      'second.ts': `
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
let isOpen = true
t.teardown(() => (isOpen = false))
t.test('is over, too', async () => {})
await delay(100)
t.test('finds open what the file opened', async (t) => t.ok(isOpen))
`,
    })
    const files = ['broken.ts', 'first.ts', 'second.ts'].map((name) => relative(ROOT, join(folder, name)))
    const report = await runFiles(files, { root: ROOT, environment: {} })
    t.equal(report.passed, 3)
    t.match(report.failures, [{ details: /broken\.ts begins no test[^]*no server/ }])
    t.equal(report.failures.length, 1)
  },
)

t.test('a process that was killed is reported, beside what failed before', async (t) => {
  const folder = t.testdir({
    'killed.ts': `
import t from 'tap'
t.test('fails', async (t) => t.fail())
t.test('dies', async () => process.kill(process.pid, 'SIGKILL'))
`,
  })
  const { failures } = await runFiles([relative(ROOT, join(folder, 'killed.ts'))], {
    root: ROOT,
    environment: {},
  })
  t.match(failures.at(-1)!.name, /killed\.ts ended with SIGKILL/)
})

t.test('an error that nobody caught is shown, with the test that it left unfinished', async (t) => {
  const folder = t.testdir({
    'uncaught.ts': `
import { once } from 'node:events'
import t from 'tap'
t.test('goes wrong later', async () => {
  setImmediate(() => { throw new Error('nobody catches this') })
  await once(process, 'never')
})
`,
  })
  const { failures } = await runFiles([relative(ROOT, join(folder, 'uncaught.ts'))], {
    root: ROOT,
    environment: {},
  })
  t.match(failures[0]!.name, /goes wrong later/)
  t.match(failures.at(-1)!.details, /nobody catches this[^]*uncaught\.ts:5:/)
})
