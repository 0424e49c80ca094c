/** How a relay ends, and what the next one on its store makes of that: one store, three relays after each other. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createSandbox } from '../../sandbox/sandbox.ts'
import { ACCOUNT } from '../support/constants.ts'
import { rawEvent } from '../support/events.ts'
import { startProcess } from '../support/process.ts'

/** Between questions that are asked until the answer changes. */
const PACE_MS = 50

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

t.test('a store whose relay is killed, ended, and interrupted', async (t) => {
  const sandbox = await createSandbox()
  t.teardown(() => sandbox.close())
  const settings = {
    DATABASE_URL: `sqlite:${t.testdir()}/relay.db`,
    PINTEREST_API_URL: sandbox.url,
    ANSWER_WAIT_MS: '1000',
  }
  const start = async () => {
    const relay = await startProcess(settings)
    t.teardown(async () => {
      relay.signal('SIGKILL')
      await relay.ended
    })
    return relay
  }
  let relay = await start()
  const relayKey = await relay.register()
  const post = (eventId: string) =>
    fetch(`${relay.publicUrl}/v5/ad_accounts/${ACCOUNT}/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${relayKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ data: [rawEvent({ event_id: eventId })] }),
    })
  const hasArrived = (eventId: string) => sandbox.conversions.counts(ACCOUNT).get(eventId) === 1
  /** A post whose call gets no answer; resolves once it waits for that. */
  const postInVain = async (eventId: string) => {
    sandbox.faults.set([{ kind: 'hang', times: 1 }])
    const answer = post(eventId)
    answer.catch(() => undefined)
    await sandbox.until(() => sandbox.faults.list()[0]?.used === 1)
    return { answer }
  }
  const untilUnready = async (t: Test) => {
    let readiness = 200
    while (readiness === 200) {
      readiness = (await statusOf(fetch(`${relay.publicUrl}/readyz`))) ?? 0
      await delay(PACE_MS)
    }
    t.equal(readiness, 503, 'readiness goes off while the port still answers')
  }

  await t.test('kill -9 loses nothing that was answered', async (t) => {
    sandbox.faults.set([{ kind: 'status', status: 503 }])
    const ids = Array.from({ length: 50 }, (_, n) => `kept-${n}`)
    t.strictSame(new Set(await Promise.all(ids.map((id) => statusOf(post(id))))), new Set([202]))
    relay.signal('SIGKILL')
    await relay.ended
    sandbox.faults.clear()
    relay = await start()
    await sandbox.until(() => ids.every(hasArrived))
  })

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
      t.equal(await statusOf(post('while unready')), 200, 'posts are still taken')
      const seen = new Set<number | undefined>()
      for (let n = 0; !seen.has(undefined); n++) {
        seen.add(await statusOf(post(`late ${n}`)))
        await delay(PACE_MS)
      }
      t.strictSame(
        [...seen].filter((status) => ![200, 202, 503, undefined].includes(status)),
        [],
      )
      t.equal(await statusOf(waiting.answer), 202)
      // It exits with 1 where it is not done within the ten seconds that a container gets.
      t.equal(await relay.ended, 0)
      t.match(relay.stdout.at(-1), /"phrase":"closed"/)
    },
  )

  await t.test('the event of a call that was in flight at the end is sent by the next relay', async (t) => {
    t.notOk(hasArrived('waits'))
    relay = await start()
    await sandbox.until(() => hasArrived('waits'))
  })

  await t.test('a second signal exits at once', async (t) => {
    await postInVain('hangs')
    relay.signal('SIGTERM')
    await untilUnready(t)
    relay.signal('SIGTERM')
    t.equal(await relay.ended, 1)
  })
})
