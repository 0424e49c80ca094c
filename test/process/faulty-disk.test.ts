/** The whole relay on a disk that is full, and with a queue that is corrupt: what was answered arrives. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createSandbox, type Sandbox } from '../../sandbox/sandbox.ts'
import { rawEvent } from '../support/events.ts'
import { startProcess, type TestProcess } from '../support/process.ts'
import { ACCOUNT, ADMIN_TOKEN } from '../support/relay.ts'
import { mountSmallDisk } from '../support/small-disk.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

async function post(relay: TestProcess, key: string, eventId: string): Promise<number> {
  const response = await fetch(`${relay.publicUrl}/v5/ad_accounts/${ACCOUNT}/events`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      prefer: 'respond-async',
    },
    body: JSON.stringify({
      data: [rawEvent({ event_id: eventId, event_source_url: `https://x.example/${'y'.repeat(4000)}` })],
    }),
  })
  await response.arrayBuffer()
  return response.status
}

async function admin(relay: TestProcess, method: string, path: string): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
  return (await (await fetch(relay.adminUrl + path, { method, headers })).json()) as Record<string, unknown>
}

async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const endsAt = Date.now() + 15_000
  while (!(await isSo())) {
    if (Date.now() > endsAt) throw new Error(`not in time: ${what}`)
    await delay(25)
  }
}

async function layOut(t: Test, folder: string) {
  const sandbox = await createSandbox()
  t.teardown(() => sandbox.close())
  const settings = {
    DATABASE_URL: `sqlite:${join(folder, 'relay.db')}`,
    PINTEREST_API_URL: sandbox.url,
    POSTS_PER_MINUTE: '0',
  }
  const start = async () => {
    const relay = await startProcess(settings)
    t.teardown(async () => {
      relay.signal('SIGKILL')
      await relay.ended
    })
    return relay
  }
  return { sandbox, start }
}

t.test(
  'a full disk: 503 while it lasts, what was taken is delivered, then posts are taken again',
  async (t) => {
    const disk = mountSmallDisk(t, '12m')
    if (disk === undefined) return
    const { sandbox, start } = await layOut(t, disk.folder)
    let relay = await start()
    const key = await relay.register()
    await admin(relay, 'POST', `/accounts/${ACCOUNT}/pause`)
    const taken: string[] = []
    let refused = 0
    for (let number = 0; refused < 50; number++) {
      const ids = Array.from({ length: 40 }, (_, index) => `full-${number}-${index}`)
      const statuses = await Promise.all(ids.map((id) => post(relay, key, id)))
      for (const [index, status] of statuses.entries()) {
        if (status === 202) taken.push(ids[index]!)
        else if (status === 503) refused += 1
        else t.fail(`answered ${status}`)
      }
    }
    t.ok(taken.length > 500, `${taken.length} taken`)

    disk.fill()
    t.equal(await post(relay, key, 'no-room'), 503)
    t.equal((await admin(relay, 'GET', '/books'))['queued'], taken.length)
    await until('unready', async () => (await fetch(`${relay.publicUrl}/readyz`)).status === 503)
    // Killed while it is full, and started while it is full.
    relay.signal('SIGKILL')
    await relay.ended
    relay = await start()
    await until('unready', async () => (await fetch(`${relay.publicUrl}/readyz`)).status === 503)
    t.equal(await post(relay, key, 'no-room-still'), 503)
    t.notOk('code' in (await admin(relay, 'POST', `/accounts/${ACCOUNT}/resume`)))
    await until('drained', async () => (await admin(relay, 'GET', '/books'))['queued'] === 0)
    const arrived = await arrivedAt(sandbox)
    t.strictSame(
      taken.filter((id) => !(id in arrived)),
      [],
      'none was lost',
    )

    disk.clear()
    await until('ready', async () => (await fetch(`${relay.publicUrl}/readyz`)).status === 200)
    t.equal(await post(relay, key, 'room-again'), 202, 'without a restart')
    const others = relay.stdout.filter((line) => !line.includes('post answered'))
    t.ok(others.length < 40, `${others.length} lines besides those of posts`)
  },
)

t.test(
  'a corrupt queue: the relay starts, names it, takes posts, and salvage brings back what was in it',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'pinrelay-test-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const { sandbox, start } = await layOut(t, folder)
    let relay = await start()
    const key = await relay.register()
    await admin(relay, 'POST', `/accounts/${ACCOUNT}/pause`)
    const ids = Array.from({ length: 60 }, (_, index) => `salvaged-${index}`)
    for (const id of ids) t.equal(await post(relay, key, id), 202)
    relay.signal('SIGTERM')
    await relay.ended
    const path = join(folder, 'relay.db')
    const bytes = readFileSync(path)
    bytes.fill(0xab, 20, 4096)
    writeFileSync(path, bytes)

    const startedAt = Date.now()
    relay = await start()
    t.equal(await post(relay, key, 'after'), 202, 'with the same key')
    t.ok(Date.now() - startedAt < 5000)
    const lines = () => relay.stdout.filter((line) => line.includes('queue_set_aside'))
    await until('the line is written', () => lines().length > 0)
    t.equal(lines().length, 1)
    const { file, level } = JSON.parse(lines()[0]!) as { file: string; level: string }
    t.equal(level, 'error')
    t.ok(readdirSync(folder).includes(file))

    await admin(relay, 'POST', `/accounts/${ACCOUNT}/resume`)
    const salvaged = 'salvaged 60 events in 60 parcels and 0 dead letters'
    const first = await runCli(relay, file)
    t.match(first, {
      code: 0,
      stdout: `${salvaged}; 0 were here already, 0 parcels or letters cannot be read\n`,
    })
    await until('drained', async () => (await admin(relay, 'GET', '/books'))['queued'] === 0)
    t.match(await runCli(relay, join(folder, file)), {
      code: 0,
      stdout: /^salvaged 0 events .*; 60 were here already/,
    })
    const arrived = await arrivedAt(sandbox)
    t.strictSame(arrived, Object.fromEntries([...ids, 'after'].map((id) => [id, 1])), 'each of them once')
    t.match(await runCli(relay, 'relay.db'), { code: 1, stderr: /^The relay answered 404/ })
    t.match(await runCli(relay, '../../etc/passwd'), { code: 1, stderr: /^The relay answered 404/ })
  },
)

function runCli(relay: TestProcess, file: string): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'] ?? '', ADMIN_URL: relay.adminUrl, ADMIN_TOKEN }
    const child = execFile(process.execPath, [CLI, 'salvage', file], { env }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })
}

/** How often each event id was recorded. */
async function arrivedAt(sandbox: Sandbox): Promise<Record<string, number>> {
  const response = await fetch(new URL(`/_sandbox/events?ad_account_id=${ACCOUNT}`, sandbox.url))
  return ((await response.json()) as { counts: Record<string, number> }).counts
}
