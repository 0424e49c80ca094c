import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import { until } from './support/clock.ts'
import { formatReports } from './support/format-reports.ts'
import { startNode } from './support/node-process.ts'
import { runFiles, type RunFilesOptions } from './support/run-files.ts'

const ROOT = join(import.meta.dirname, '..')

const run = (files: readonly string[], options: Partial<RunFilesOptions> = {}) =>
  runFiles(
    files.map((file) => relative(ROOT, file)),
    { root: ROOT, environment: {}, silenceSeconds: 60, ...options },
  )

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
  const report = await run([file], { environment: { TEST_SEED: '77' } })
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
    const report = await run(['broken.ts', 'first.ts', 'second.ts'].map((name) => join(folder, name)))
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
  const { failures } = await run([join(folder, 'killed.ts')])
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
  const { failures } = await run([join(folder, 'uncaught.ts')])
  t.match(failures[0]!.name, /goes wrong later/)
  t.match(failures.at(-1)!.details, /nobody catches this[^]*uncaught\.ts:5:/)
})

t.test('a process that hangs is ended, and what it is in and waits for is shown', async (t) => {
  const folder = t.testdir({
    'waits.ts': `
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
t.test('is over', async () => {})
t.test('outer', async (t) => {
  await t.test('waits', async () => { for (;;) await delay(5) })
})
`,
    'lives-on.ts': `
import t from 'tap'
t.test('is over', async () => {})
setInterval(() => {}, 1000)
`,
    'stopped.ts': `
import { spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
t.test('stops the thread, and what it started holds its output', async (t) => {
  t.pass('it began')
  await delay(50)
  spawn('sleep', ['30'], { stdio: 'inherit' })
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})
`,
  })
  const [waits, livesOn, stopped] = await Promise.all(
    ['waits.ts', 'lives-on.ts', 'stopped.ts'].map((name) =>
      run([join(folder, name)], { silenceSeconds: 10 }),
    ),
  )
  t.match(waits!.failures, [
    { name: 'outer > waits' },
    { name: /waits\.ts told nothing for 10 s, since "# Subtest: outer"/, details: /waits for .*Timeout/ },
  ])
  t.match(livesOn!.failures, [
    { name: /told nothing for 10 s, since "ok 1 - is over/, details: /waits for .*Timeout/ },
  ])
  t.match(stopped!.failures, [{ name: /told nothing for 10 s, since "ok 1 - it began/ }])
})

t.test('an interrupted run leaves no process and no folder behind', async (t) => {
  const folder = t.testdir()
  const told = join(folder, 'told')
  const file = join(folder, 'interrupted.ts')
  writeFileSync(
    file,
    `
import { renameSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { openFolder } from '${join(ROOT, 'test/support/at-exit.ts')}'
import { startNode } from '${join(ROOT, 'test/support/node-process.ts')}'
t.test('never ends', async () => {
  const { path } = openFolder('interrupted')
  const { pid } = startNode({ words: ['--eval', 'setInterval(() => {}, 1000)'], environment: {} })
  writeFileSync('${told}.part', JSON.stringify({ path, pid }))
  renameSync('${told}.part', '${told}')
  setInterval(() => {}, 1000)
  await new Promise(() => {})
})
`,
  )
  const stop = new AbortController()
  const running = run([file], { signal: stop.signal })
  await until(() => existsSync(told))
  stop.abort()
  await running
  const { path, pid } = JSON.parse(readFileSync(told, 'utf8')) as { path: string; pid: number }
  t.notOk(existsSync(path))
  await until(() => !existsSync(`/proc/${pid}`))
})

t.test('what must not outlive a process ends also where a second signal comes meanwhile', async (t) => {
  const folder = t.testdir()
  const code = `
    const { atExit, openFolder } = await import('${join(ROOT, 'test/support/at-exit.ts')}')
    console.log(openFolder('interrupted', '${folder}').path)
    atExit(() => process.kill(process.pid, 'SIGINT'))
    setInterval(() => {}, 1000)
    process.kill(process.pid, 'SIGINT')`
  const child = startNode({ words: ['--input-type=module', '--eval', code], environment: {} })
  const paths: string[] = []
  child.onLine((line) => void paths.push(line))
  t.equal(await child.ended, 130)
  t.equal(paths.length, 1)
  t.notOk(existsSync(paths[0]!))
})

t.test('what a test asks for again and again and never comes fails it, with its place', async (t) => {
  const failure = await until(() => false, 1, 5).catch((error: Error) => error)
  t.match(failure, { message: 'never came: () => false', stack: /run\.test\.ts/ })
})
