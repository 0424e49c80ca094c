import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createSandbox } from '../../sandbox/sandbox.ts'
import { rawEvent } from '../support/events.ts'
import { startProcess } from '../support/process.ts'
import { ACCOUNT } from '../support/relay.ts'

async function setUp(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'pinrelay-shutdown-'))
  const sandbox = await createSandbox()
  const settings = {
    DATABASE_URL: `sqlite:${folder}/relay.db`,
    PINTEREST_API_URL: sandbox.url,
    ANSWER_WAIT_MS: '1000',
  }
  const relay = await startProcess(settings)
  t.teardown(async () => {
    relay.signal('SIGKILL')
    await relay.ended
    await sandbox.close()
    await rm(folder, { recursive: true })
  })
  const relayKey = await relay.register()
  const post = (eventId: string, url = relay.publicUrl) =>
    fetch(`${url}/v5/ad_accounts/${ACCOUNT}/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${relayKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ data: [rawEvent({ event_id: eventId })] }),
    })
  return { relay, sandbox, settings, post }
}

/** The status, or undefined when nobody listens any more: a gateway tries the next relay then. */
async function statusOf(answer: Promise<Response>): Promise<number | undefined> {
  try {
    const response = await answer
    await response.arrayBuffer()
    return response.status
  } catch (error) {
    // A connection that waits to be accepted while the listener closes is reset by the kernel: nothing was read of it.
    const { cause } = error as { cause?: { code?: string } }
    if (cause?.code === 'ECONNREFUSED' || cause?.code === 'ECONNRESET') return undefined
    throw error
  }
}

t.test('SIGTERM: unready at once, serving on for a moment, clean answers, exit 0 within 10 s', async (t) => {
  const { relay, post } = await setUp(t)
  t.equal(await statusOf(post('before')), 200)
  const startedMs = performance.now()
  relay.signal('SIGTERM')
  let readiness = 200
  while (readiness === 200) readiness = (await statusOf(fetch(`${relay.publicUrl}/readyz`))) ?? 0
  t.equal(readiness, 503, 'readiness goes off while the port still answers')
  t.equal(await statusOf(post('while unready')), 200, 'posts are still taken')
  const seen = new Set<number | undefined>()
  while (!seen.has(undefined)) seen.add(await statusOf(post(`late ${seen.size} ${performance.now()}`)))
  t.strictSame(
    [...seen].filter((status) => ![200, 202, 503, undefined].includes(status)),
    [],
  )
  t.equal(await relay.ended, 0)
  t.ok(performance.now() - startedMs < 10_000, 'within ten seconds')
  t.match(relay.stdout.at(-1), /"phrase":"closed"/)
})

t.test('a post that waits at SIGTERM is answered 202, and its event is sent after the restart', async (t) => {
  const { relay, sandbox, settings, post } = await setUp(t)
  sandbox.faults.set([{ kind: 'hang' }])
  const waiting = post('waits')
  // The call hangs at the sandbox, so the post waits for its verdict now.
  await sandbox.until(() => sandbox.faults.list()[0]?.used === 1)
  relay.signal('SIGTERM')
  t.equal(await statusOf(waiting), 202)
  t.equal(await relay.ended, 0)
  sandbox.faults.clear()
  const next = await startProcess(settings)
  t.teardown(() => next.signal('SIGKILL'))
  await sandbox.until(() => sandbox.conversions.counts(ACCOUNT).get('waits') === 1)
})

t.test('connections that never finish a post do not hold the end up', async (t) => {
  const { relay } = await setUp(t)
  const port = Number(new URL(relay.publicUrl).port)
  const silent = connect(port, '127.0.0.1')
  const slow = connect(port, '127.0.0.1')
  for (const socket of [silent, slow]) {
    socket.on('error', () => undefined)
    await once(socket, 'connect')
  }
  slow.write(`POST /v5/ad_accounts/${ACCOUNT}/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{`)
  const startedMs = performance.now()
  relay.signal('SIGTERM')
  t.equal(await relay.ended, 0)
  t.ok(performance.now() - startedMs < 10_000, 'within ten seconds')
})

t.test('a second signal exits at once', async (t) => {
  const { relay, sandbox, post } = await setUp(t)
  sandbox.faults.set([{ kind: 'hang' }])
  void post('hangs').catch(() => undefined)
  await sandbox.until(() => sandbox.faults.list()[0]?.used === 1)
  relay.signal('SIGTERM')
  let readiness = 200
  while (readiness === 200) readiness = (await statusOf(fetch(`${relay.publicUrl}/readyz`))) ?? 0
  relay.signal('SIGTERM')
  t.equal(await relay.ended, 1)
})

t.test('kill -9 loses nothing that was answered', async (t) => {
  const { relay, sandbox, settings, post } = await setUp(t)
  sandbox.faults.set([{ kind: 'status', status: 503 }])
  const ids = Array.from({ length: 50 }, (_, n) => `kept-${n}`)
  t.strictSame(new Set(await Promise.all(ids.map((id) => statusOf(post(id))))), new Set([202]))
  relay.signal('SIGKILL')
  await relay.ended
  sandbox.faults.clear()
  const next = await startProcess(settings)
  t.teardown(() => next.signal('SIGKILL'))
  await sandbox.until(() => ids.every((id) => sandbox.conversions.counts(ACCOUNT).has(id)))
})
