/** A relay whose database does not answer any more: it ends in time, and what it could not write is sent again. */
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { CLOSE_MS } from '../../src/settings.ts'
import { CONNECT_MS } from '../../src/store/postgres/connect.ts'
import { createManualClock, until } from '../support/clock.ts'
import { catchDeadlines } from '../support/deadlines.ts'
import { rawEvent } from '../support/events.ts'
import { startPostgres } from '../support/postgres.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const server = await startPostgres()
t.teardown(() => server.close())
async function setUpStalling(t: Test) {
  const url = await server.borrowDatabase()
  t.teardown(() => server.giveBackDatabase(url))
  const { hostname, port } = new URL(url)
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) })
  t.teardown(() => proxy.close())
  const DATABASE_URL = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(proxy.port) }).href
  const clock = createManualClock(Date.now())
  const settings = { DATABASE_URL, MASTER_KEY: randomBytes(32).toString('base64') }
  const stand = await setUp(t, settings, {}, { clock })
  const deadlines = catchDeadlines(t, CLOSE_MS.store)
  // The limits of what it waits for otherwise: they never end.
  catchDeadlines(t, CONNECT_MS, Infinity)
  const { sandbox } = stand
  const { pick } = sandbox.faults
  const passing = async (isTrue: () => boolean | Promise<boolean>) =>
    until(async () => {
      await clock.advance(500)
      return isTrue()
    })
  return {
    stand,
    proxy,
    passing,
    /** Posts an event; the database stalls while Pinterest has it. */
    async stallInCall(eventId: string): Promise<void> {
      let isCalled = false
      sandbox.faults.pick = (call) => {
        if (call.moment === 'body') {
          proxy.stall()
          isCalled = true
        }
        return pick(call)
      }
      const data = [rawEvent({ event_id: eventId })]
      t.equal((await stand.post({ data }, { headers: { prefer: 'respond-async' } })).status, 202)
      await passing(() => isCalled)
    },
    async closeInTime(): Promise<void> {
      const closed = stand.relay.close()
      await passing(() => deadlines.count() === 1)
      deadlines.fire()
      await closed
    },
    async startAgain(): Promise<void> {
      sandbox.faults.pick = pick
      sandbox.faults.clear()
      proxy.flow()
      // As 15 seconds later: nobody told the database that its batches are free.
      await server.ask('UPDATE pinrelay.owners SET dead_at = clock_timestamp()', [], url)
      await stand.restart()
    },
    arrived: (eventId: string) => sandbox.conversions.counts(ACCOUNT).get(eventId),
  }
}

t.test('it ends in time when nothing is to be done', async (t) => {
  const { proxy, closeInTime } = await setUpStalling(t)
  proxy.stall()
  await closeInTime()
})

t.test('it ends in time while a call hangs, whose event is sent after the next start', async (t) => {
  const { stand, passing, stallInCall, closeInTime, startAgain, arrived } = await setUpStalling(t)
  stand.sandbox.faults.set([{ kind: 'hang' }])
  await stallInCall('hung')
  await closeInTime()
  t.equal(arrived('hung'), undefined)
  await startAgain()
  await passing(() => arrived('hung') === 1)
})

t.test('it ends in time while an outcome is not written, whose event is sent again', async (t) => {
  const { stand, passing, stallInCall, closeInTime, startAgain, arrived } = await setUpStalling(t)
  await stallInCall('unwritten')
  await passing(() => arrived('unwritten') === 1)
  await closeInTime()
  await startAgain()
  await passing(() => arrived('unwritten') === 2)
  const isWritten = async () => (await stand.admin('GET', '/totals')).body['queued'] === 0
  await passing(isWritten)
})
