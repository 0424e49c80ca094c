/** The whole relay on a disk that is full or fails its writes, and with a queue that is corrupt: what was answered arrives. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { UserData } from '../../client/src/index.ts'
import { createSandbox } from '../../sandbox/sandbox.ts'
import { createCommandLine } from '../cli/stage.ts'
import { until } from '../support/clock.ts'
import { TOKEN } from '../support/constants.ts'
import { rawEvent } from '../support/events.ts'
import { startProcess } from '../support/process.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'
import { mountSmallDisk } from '../support/small-disk.ts'

const LATER = { prefer: 'respond-async' }
const EVENTS_PER_POST = 20
const SIZE = '10m'

/** Random, since the store compresses what repeats. */
const makeEvent = (eventId: string, userData: UserData = { em: 'person@example.com' }) => {
  const event_source_url = `https://x.example/${randomBytes(3000).toString('base64url')}`
  return rawEvent({ event_id: eventId, event_source_url, user_data: userData })
}
const BOT = makeEvent('bot', { em: 'person@example.com', client_user_agent: 'curl/8.5.0' })

t.test(
  'a full disk: 503 while it lasts, what was taken is delivered, then posts are taken again',
  async (t) => {
    const disk = mountSmallDisk(t, SIZE)
    const after = mountSmallDisk(t, SIZE)
    if (disk === undefined || after === undefined) return
    const stand = await setUp(t, { DATABASE_URL: `sqlite:${join(disk.folder, 'relay.db')}` })
    const post = async (ids: readonly string[]) =>
      (await stand.post({ data: ids.map((id) => makeEvent(id)) }, { headers: LATER })).status
    const isReady = async () => (await fetch(`${stand.relay.publicUrl}/readyz`)).status === 200
    const queued = async () => (await stand.admin('GET', '/totals')).body['queued']

    await stand.admin('POST', `/accounts/${ACCOUNT}/pause`)
    const taken: string[] = []
    let invalid = 0
    for (let number = 0; invalid < 10; number++) {
      const posts = Array.from({ length: 5 }, (_, post) =>
        Array.from({ length: EVENTS_PER_POST }, (_, index) => `full-${number}-${post}-${index}`),
      )
      const statuses = await Promise.all(posts.map(post))
      for (const [index, status] of statuses.entries()) {
        if (status === 202) taken.push(...posts[index]!)
        else if (status === 503) invalid += 1
        else t.fail(`answered ${status}`)
      }
    }
    t.ok(taken.length > 200, `${taken.length} taken`)

    // As it would be after kill -9: the files of a relay that runs and writes nothing.
    t.equal(await queued(), taken.length)
    cpSync(disk.folder, after.folder, { recursive: true })
    disk.fill()
    // The relay measures the disk ten times a second; until then it takes what can be written.
    let takenLate = 0
    while ((await post([`no-room-${takenLate}`])) === 202) takenLate += 1
    t.equal(await queued(), taken.length + takenLate, 'the totals can be read')
    await until(async () => !(await isReady()))
    after.fill()
    await stand.restart({ DATABASE_URL: `sqlite:${join(after.folder, 'relay.db')}` })
    await until(async () => !(await isReady()))
    t.equal(await post(['no-room-still']), 503)
    t.equal((await stand.admin('POST', `/accounts/${ACCOUNT}/resume`)).status, 200)
    await until(async () => (await queued()) === 0)
    const arrived = stand.sandbox.conversions.counts(ACCOUNT)
    t.strictSame(
      taken.filter((id) => !arrived.has(id)),
      [],
      'none was lost',
    )

    after.clear()
    await until(isReady)
    t.equal(await post(['room-again']), 202, 'without a restart')
    const others = stand.logLines.filter((line) => !line.includes('post answered'))
    t.ok(others.length < 60, `${others.length} lines besides those of posts`)
  },
)

/** Whether the system could be told how far the files of a process may grow: 0 makes every write of it fail with EFBIG. */
function limitFiles(t: Test, pid: number, limit: '0' | 'unlimited'): boolean {
  try {
    execFileSync('prlimit', ['--pid', String(pid), `--fsize=${limit}:`], { stdio: 'pipe' })
    return true
  } catch {
    t.comment('NOT TRIED: writes can only be made to fail where there is prlimit, and no limit yet')
    return false
  }
}

t.test('every write fails: not ready after the first post, and ready again without one', async (t) => {
  const sandbox = await createSandbox({ tokens: [{ accessToken: TOKEN }] })
  t.teardown(() => sandbox.close())
  const relay = await startProcess({
    DATABASE_URL: `sqlite:${join(t.testdir(), 'relay.db')}`,
    PINTEREST_API_URL: sandbox.url,
    DRAIN_MS: '0',
  })
  t.teardown(() => relay.kill())
  const key = await relay.register()
  const post = (eventId: string) =>
    relay.post(key, [eventId === 'bot' ? BOT : makeEvent(eventId)], { headers: LATER })
  const isReady = async () => (await fetch(`${relay.publicUrl}/readyz`)).status === 200
  // So that no outcome waits to be written, which would be noticed in another way.
  await relay.admin('POST', `/accounts/${ACCOUNT}/pause`)
  t.equal((await post('before')).status, 202)
  await relay.admin('PUT', `/accounts/${ACCOUNT}`, { bots: 'filter' })

  if (!limitFiles(t, relay.pid, '0')) return
  // What is only counted is as durable as an event: it is the first that meets the failing disk.
  for (const eventId of ['bot', 'second']) {
    const answer = await post(eventId)
    t.equal(answer.status, 503)
    t.match(answer.headers.get('retry-after'), /^\d+$/)
    t.match(await answer.json(), { code: 4197 })
    await until(async () => !(await isReady()))
  }
  t.same(await (await fetch(`${relay.publicUrl}/readyz`)).json(), { status: 'store_unavailable' })
  const showsMetric = async (line: RegExp) =>
    line.test(String((await relay.admin('GET', '/metrics')).body['text']))
  t.ok(await showsMetric(/^pinrelay_ready 0$/m))
  // What can be read is; one look at the store serves for two seconds, also one from before the post.
  await until(() => showsMetric(/^pinrelay_events_queued 1$/m))

  t.ok(limitFiles(t, relay.pid, 'unlimited'))
  await until(isReady)
  t.equal((await post('after')).status, 202)
  await relay.admin('POST', `/accounts/${ACCOUNT}/resume`)
  await until(async () => (await relay.admin('GET', '/totals')).body['queued'] === 0)
  t.strictSame(Object.fromEntries(sandbox.conversions.counts(ACCOUNT)), { before: 1, after: 1 })
  t.equal(await relay.end(), 0)
})

t.test(
  'a corrupt queue: the relay starts, names it, takes posts, and recover brings back what was in it',
  async (t) => {
    const stand = await setUp(t)
    const { folder, sandbox } = stand
    const post = async (eventId: string) =>
      (await stand.post({ data: [makeEvent(eventId)] }, { headers: LATER })).status
    await stand.admin('POST', `/accounts/${ACCOUNT}/pause`)
    const ids = Array.from({ length: 30 }, (_, index) => `recovered-${index}`)
    for (const id of ids) t.equal(await post(id), 202)
    await stand.relay.close()
    const path = join(folder, 'relay.db')
    const bytes = readFileSync(path)
    bytes.fill(0xab, 20, 4096)
    writeFileSync(path, bytes)

    await stand.restart()
    t.equal(await post('after'), 202, 'with the same key')
    const lines = stand.logLines.filter((line) => line.includes('queue_quarantined'))
    t.equal(lines.length, 1)
    const { file, level } = JSON.parse(lines[0]!) as { file: string; level: string }
    t.equal(level, 'error')
    t.ok(readdirSync(folder).includes(file))

    await stand.admin('POST', `/accounts/${ACCOUNT}/resume`)
    const run = createCommandLine(stand)
    t.match(await run(`recover ${file}`), {
      code: 0,
      stdout:
        'recovered 30 events in 30 batches and 0 dead letters; 0 were here already, 0 batches or dead letters cannot be read',
    })
    await until(async () => (await stand.admin('GET', '/totals')).body['queued'] === 0)
    t.match(await run(['recover', join(folder, file)]), {
      code: 0,
      stdout: /^recovered 0 events .*; 30 were here already/,
    })
    t.strictSame(
      Object.fromEntries(sandbox.conversions.counts(ACCOUNT)),
      Object.fromEntries([...ids, 'after'].map((id) => [id, 1])),
      'each of them once',
    )
    for (const name of ['relay.db', '../../etc/passwd']) {
      t.match(await run(`recover ${name}`), { code: 1, stderr: /^The relay answered 404/ })
    }
  },
)
