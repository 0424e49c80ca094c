/** `npm run build` makes what the image runs: the relay, its command and the sandbox without TypeScript. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { placeOf } from '../../src/errors.ts'
import { readSettings } from '../../src/settings.ts'
import { ADMIN_TOKEN } from '../support/constants.ts'
import { rawEvent } from '../support/events.ts'
import { startNode } from '../support/node-process.ts'
import { startProcess } from '../support/process.ts'

// Within the project, for its dependencies; of its own, since files share a process.
mkdirSync('.tap', { recursive: true })
const folder = mkdtempSync(resolve('.tap', 'build-'))
t.teardown(() => rmSync(folder, { recursive: true }))
execFileSync(process.execPath, ['build.ts', folder], { stdio: 'pipe' })

t.test('every file of its own that a compiled file names is there, and none is TypeScript', async (t) => {
  t.same(globSync('**/*.ts', { cwd: folder }), [])
  let count = 0
  // What the console's pages name are routes.
  const files = globSync('{src,sandbox}/**/*.js', { cwd: folder, exclude: ['src/console'] })
  for (const file of files.map((path) => resolve(folder, path))) {
    for (const [, path] of readFileSync(file, 'utf8').matchAll(/'(\.{1,2}\/[^'\n]+\.[jt]s)'/g)) {
      count += 1
      t.ok(existsSync(resolve(file, '..', path!)), `${file} names ${path}`)
    }
  }
  t.ok(count > 500)
})

t.test('every file can be read by every user, whatever the umask of the clone was', async (t) => {
  const files = globSync(['package.json', '{src,sandbox}/**/*.*'], { cwd: folder })
  const modes = new Set(files.map((path) => statSync(resolve(folder, path)).mode & 0o777))
  t.same(
    [...modes].toSorted((a, b) => a - b),
    [0o644, 0o755],
  )
})

t.test('what the image and compose start is there', async (t) => {
  for (const file of ['Dockerfile', 'docker-compose.yml', 'docker-compose.replicas.yml']) {
    const started = [
      ...readFileSync(file, 'utf8').matchAll(/(?<=[/"'])(?:src|sandbox)\/[\w-]+\.[jt]s(?=["'])/g),
    ]
    t.ok(started.length > 0, file)
    for (const [path] of started) t.ok(existsSync(resolve(folder, path)), `${file} starts ${path}`)
  }
})

t.test('the compiled relay starts, takes a post, answers its command, and ends in order', async (t) => {
  const sandbox = startNode({
    words: [`${folder}/sandbox/main.js`],
    environment: { SANDBOX_PORT: '0' },
  })
  t.teardown(() => sandbox.kill())
  const PINTEREST_API_URL = await sandbox.firstLine((line) => /PINTEREST_API_URL=(\S+\/v5)/.exec(line)?.[1])
  const relay = await startProcess(
    { DATABASE_URL: `sqlite:${folder}/relay.db`, PINTEREST_API_URL },
    `${folder}/src/main.js`,
  )
  t.teardown(() => relay.kill())
  const key = await relay.register()
  const posted = await relay.post(key, [rawEvent()])
  t.equal(posted.status, 200)
  t.match(await posted.json(), { num_events_received: 1, num_events_processed: 1 })
  for (const path of ['/', '/console/main.js', '/console/icon.svg', '/console/uplot.js']) {
    t.equal((await fetch(relay.adminUrl + path)).status, 200, path)
  }
  const env = { ADMIN_TOKEN, ADMIN_URL: relay.adminUrl }
  // As the image's link starts it.
  const command = spawnSync(`${folder}/src/cli.js`, ['status'], {
    env: { ...env, PATH: process.env['PATH'] },
    encoding: 'utf8',
  })
  t.match(command, { status: 0, stdout: /^posts are taken/, stderr: '' })
  relay.signal('SIGTERM')
  t.equal(await relay.ended, 0)
  t.strictSame(relay.stderr, [])
  sandbox.signal('SIGTERM')
  t.equal(await sandbox.ended, 0)
})

t.test('the place of an error is the same line and column as in the source', async (t) => {
  const compiled = (await import(`${folder}/src/settings.js`)) as { readSettings: typeof readSettings }
  const errors = (await import(`${folder}/src/errors.js`)) as { placeOf: typeof placeOf }
  const placeIn = (read: typeof readSettings) => {
    try {
      read({ PORT: 'secret' })
    } catch (error) {
      return errors.placeOf(error)
    }
    return t.fail('it took the setting')
  }
  const place = placeIn(readSettings)
  t.match(place, /^src\/settings\.ts:\d+:\d+$/)
  t.equal(placeIn(compiled.readSettings), String(place).replace('.ts', '.js'))
})
