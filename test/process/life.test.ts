/**
 * Starts and ends of a relay, as a supervisor sees them: one store, and three relays on it after each other. The first is
 * killed, the second ends in order, the third is told twice to end. A start takes a second of CPU: hence one story.
 */
import { once } from 'node:events'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createSandbox } from '../../sandbox/sandbox.ts'
import { askAdmin, createAdmin } from '../support/admin.ts'
import { ACCOUNT, ADMIN_TOKEN, RESERVED_BYTES, TOKEN } from '../support/constants.ts'
import { rawEvent } from '../support/events.ts'
import { startProcess } from '../support/process.ts'
import { spawnRelay } from '../support/relay-process.ts'
import {
  beginRefreshes,
  checkRefreshes,
  GRACE_MS,
  GRANTED_ACCOUNTS,
  registerGrants,
  type Accounts,
} from './refreshes.ts'

/** Between questions that are asked until the answer changes. */
const PACE_MS = 50
/** Sends SIGTERM to its own process. */
const SIGNAL_ON_LISTENING = `data:text/javascript,${encodeURIComponent(`
  import { Server } from 'node:net'
  const { listen } = Server.prototype
  Server.prototype.listen = function (...args) {
    this.once('listening', () => process.kill(process.pid, 'SIGTERM'))
    Server.prototype.listen = listen
    return this.listen(...args)
  }
`)}`
const FAILS_ITSELF = /^ended with 1: pinrelay cannot start: PORT must be [^\n]*$/

const folder = t.testdir()
const sandbox = await createSandbox({ tokens: [{ accessToken: TOKEN }], reuseGraceMs: GRACE_MS })
const settings = {
  DATABASE_URL: `sqlite:${folder}/relay.db`,
  PINTEREST_API_URL: sandbox.url,
  ANSWER_WAIT_MS: '1000',
  // A call that hangs is left hanging.
  CALL_TIMEOUT_MS: '60000',
}
let relay = await startProcess(settings)
const startNext = async () => (relay = await startProcess(settings))
t.teardown(async () => {
  await sandbox.close()
  relay.signal('SIGKILL')
  await relay.ended
})

const client = createAdmin(() => relay.adminUrl, ADMIN_TOKEN)
const admin: Accounts['admin'] = (method, path, body) => askAdmin(client, method, path, body)

async function post(eventId: string, account = ACCOUNT): Promise<number> {
  const response = await relay.post(key, [rawEvent({ event_id: eventId })], { account })
  await response.arrayBuffer()
  return response.status
}

const accounts: Accounts = { sandbox, admin, post }
await registerGrants(accounts)
await admin('PUT', `/accounts/${ACCOUNT}`, { access_token: TOKEN })
const made = await admin('POST', '/keys', { label: 'test', ad_account_ids: [ACCOUNT, ...GRANTED_ACCOUNTS] })
const key = String(made['key'])

/** Undefined when nobody listens any more: a gateway tries the next relay then. */
async function unlessGone(status: Promise<number>): Promise<number | undefined> {
  try {
    return await status
  } catch (error) {
    // A connection that waits to be accepted while the listener closes is reset by the kernel: nothing was read of it.
    const { cause } = error as { cause?: { code?: string } }
    if (cause?.code === 'ECONNREFUSED' || cause?.code === 'ECONNRESET') return undefined
    throw error
  }
}

const hasArrived = (eventId: string) => sandbox.conversions.counts(ACCOUNT).get(eventId) === 1

/** Resolves once a post waits for a call that gets no answer. */
async function postInVain(eventId: string): Promise<{ readonly status: Promise<number> }> {
  sandbox.faults.set([{ kind: 'hang', times: 1 }])
  const status = post(eventId)
  status.catch(() => undefined)
  const isAsked = sandbox.until(() => sandbox.faults.list()[0]?.used === 1)
  // A post that fails is no post that waits.
  await Promise.race([isAsked, status])
  return { status }
}

async function untilUnready(t: Test): Promise<void> {
  let readiness = 200
  while (readiness === 200) {
    await delay(PACE_MS)
    readiness = (await unlessGone(fetch(`${relay.publicUrl}/readyz`).then(({ status }) => status))) ?? 0
  }
  t.equal(readiness, 503, 'readiness goes off while the port still answers')
}

await t.test(
  'the log of a first start has the next step; without a terminal nothing else is written',
  async (t) => {
    const started = relay.stdout.map((line) => JSON.parse(line) as object)
    t.match(
      started.find((line) => 'phrase' in line && line.phrase === 'started'),
      { console: `${relay.adminUrl}/`, admin_token_in: 'ADMIN_TOKEN', next: /init$/ },
    )
    t.strictSame(relay.stderr, [])
  },
)

/** Each cause of a failed start has its own test at the part that finds it: settings, secrets, stores. */
await t.test('a start that cannot be says why in one line, and exits with 1', async (t) => {
  const startInVain = (more: Record<string, string>) =>
    startProcess({ ...settings, ...more }).then(
      () => t.fail('it started'),
      (error: Error) => error.message,
    )
  t.match(await startInVain({ PORT: 'x' }), FAILS_ITSELF, 'an error of its own')
  const { port } = new URL(relay.publicUrl)
  // The last thing that a start does: until then it has made its store and its secrets.
  const first = join(folder, 'first')
  t.match(
    await startInVain({ DATABASE_URL: `sqlite:${first}/relay.db`, ADMIN_TOKEN: '', PORT: port }),
    new RegExp(
      `^ended with 1: pinrelay cannot start: PORT: another process, perhaps another relay, listens at 127\\.0\\.0\\.1:${port}\\. Stop it, or set another port\\.$`,
    ),
    'another process has the port',
  )
  for (const name of ['relay.db', 'relay.vault.db', 'relay.master-key', 'relay.admin-token']) {
    t.equal((await stat(join(first, name))).mode & 0o777, 0o600, `${name} is private`)
  }
  t.match(await readFile(join(first, 'relay.admin-token'), 'utf8'), /^\S{32,}\n?$/)
  const MASTER_KEY = await readFile(join(first, 'relay.master-key'), 'utf8')
  const gone = ['relay.vault.db', 'relay.master-key', 'relay.admin-token']
  for (const name of gone) await rm(join(first, name))
  t.match(
    await startInVain({ DATABASE_URL: `sqlite:${first}/relay.db`, ADMIN_TOKEN: '', MASTER_KEY }),
    /^ended with 1: pinrelay cannot start: The queue [^\n]* not its vault [^\n]*$/,
    'a queue without its vault',
  )
  const left = await readdir(first)
  t.notOk(
    gone.some((name) => left.includes(name)),
    'which leaves no vault and no secret behind',
  )
})

await t.test('kill -9 loses nothing that was answered', async (t) => {
  // Without Pinterest's code for an outage, which concerns all accounts.
  sandbox.faults.set([{ kind: 'status', status: 503, body: {}, adAccountId: ACCOUNT }])
  const ids = Array.from({ length: 50 }, (_, n) => `kept-${n}`)
  t.strictSame(new Set(await Promise.all(ids.map((id) => post(id)))), new Set([200]))
  await beginRefreshes(accounts)
  relay.signal('SIGKILL')
  await relay.ended
  sandbox.faults.clear()
  await startNext()
  while ((await admin('GET', `/totals?ad_account_id=${ACCOUNT}`))['queued'] !== 0) await delay(PACE_MS)
  t.strictSame(
    ids.filter((id) => !hasArrived(id)),
    [],
  )
})

await t.test('kill -9 while Pinterest is asked for new tokens', (t) => checkRefreshes(t, accounts))

await t.test(
  'SIGTERM: unready at once, serving on for a moment, every post answered, exit with 0 in time',
  async (t) => {
    // What could hold the end up: connections that never finish a post, and a call that is never answered.
    const port = Number(new URL(relay.publicUrl).port)
    const silent = connect(port, '127.0.0.1')
    const slow = connect(port, '127.0.0.1')
    for (const socket of [silent, slow]) {
      socket.on('error', () => undefined)
      await once(socket, 'connect')
    }
    slow.write(`POST /v5/ad_accounts/${ACCOUNT}/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{`)
    const waiting = await postInVain('waits')

    relay.signal('SIGTERM')
    await untilUnready(t)
    t.equal(await post('while unready'), 200, 'posts are still taken')
    const seen = new Set<number | undefined>()
    for (let n = 0; !seen.has(undefined); n++) {
      seen.add(await unlessGone(post(`late ${n}`)))
      await delay(PACE_MS)
    }
    t.strictSame(
      [...seen].filter((status) => ![200, 503, undefined].includes(status)),
      [],
    )
    t.equal(await waiting.status, 200)
    // It exits with 1 where it is not done within the ten seconds that a container gets.
    t.equal(await relay.ended, 0)
    t.match(relay.stdout.at(-1), /"phrase":"closed"/)
  },
)

await t.test('the event of a call that was in flight at the end is sent by the next relay', async (t) => {
  t.notOk(hasArrived('waits'))
  await startNext()
  await sandbox.until(() => hasArrived('waits'))
})

await t.test('SIGUSR1 opens no debugger, SIGUSR2 ends nothing', async (t) => {
  const { npm, image } = await flagsOfStart()
  t.same(npm, image, 'npm start and the image start alike')
  relay.signal('SIGUSR1')
  relay.signal('SIGUSR2')
  t.ok((await fetch(`${relay.publicUrl}/livez`)).ok)
})

await t.test('a second signal exits at once', async (t) => {
  await postInVain('hangs')
  relay.signal('SIGTERM')
  await untilUnready(t)
  relay.signal('SIGTERM')
  t.equal(await relay.ended, 1)
  t.match(relay.stdout.at(-1), /second signal, exiting at once/, 'and not by the signals before')
  t.notMatch(relay.stderr.join(), /Debugger/)
})

await t.test('a signal as soon as a port is open ends it in order, too', async (t) => {
  const early = spawnRelay({
    settings: { RESERVED_BYTES, DRAIN_MS: '0', DATABASE_URL: `sqlite:${folder}/early/relay.db` },
    preload: [SIGNAL_ON_LISTENING],
  })
  const lines: string[] = []
  early.onLine((line) => lines.push(line))
  t.equal(await early.ended, 0)
  t.match(lines.at(-1), /"phrase":"closed"/)
})

/** What stands between `node` and the entry, in `npm start` and in the image. */
async function flagsOfStart(): Promise<{ npm: string[]; image: string[] }> {
  const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
  const { scripts } = JSON.parse(await read('package.json')) as { scripts: { start: string } }
  const command = JSON.parse(/^CMD (.*)$/m.exec(await read('Dockerfile'))![1]!) as string[]
  return { npm: scripts.start.split(' ').slice(1, -1), image: command.slice(1, -1) }
}
