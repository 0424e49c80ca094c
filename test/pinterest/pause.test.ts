/** A pause of the process, as of a virtual machine: a call whose answer came meanwhile is not made again. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { createUpstream } from '../../src/pinterest/upstream.ts'
import { catchDeadlines } from '../support/deadlines.ts'

const DEADLINE_MS = 59_998
const ASKED = 0
const PAUSED = 1
const ANSWERED = 2

const SERVER = `
  const { createServer } = require('node:http')
  const { parentPort, workerData: states } = require('node:worker_threads')
  const server = createServer((request, response) => {
    Atomics.store(states, ${ASKED}, 1)
    Atomics.wait(states, ${PAUSED}, 0)
    response.end('{}', () => {
      Atomics.store(states, ${ANSWERED}, 1)
      Atomics.notify(states, ${ANSWERED})
    })
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

t.test('an answer that came before the deadline is read, though the process reads it later', async (t) => {
  const states = new Int32Array(new SharedArrayBuffer(12))
  const server = new Worker(SERVER, { eval: true, workerData: states })
  t.teardown(() => server.terminate())
  const [port] = (await once(server, 'message')) as [number]
  const deadlines = catchDeadlines(t, DEADLINE_MS)
  const settings = { PINTEREST_API_URL: `http://127.0.0.1:${port}/v5`, CALL_TIMEOUT_MS: DEADLINE_MS }
  const upstream = createUpstream({ settings, userAgent: 'test' }, { answerBytes: 1000, connections: 1 })
  t.teardown(() => upstream.close())
  const asked = upstream.ask({ method: 'GET', path: '/', headers: {} })
  while (states[ASKED] === 0) await new Promise(setImmediate)
  // Where timers run: before I/O.
  setTimeout(() => {
    Atomics.store(states, PAUSED, 1)
    Atomics.notify(states, PAUSED)
    Atomics.wait(states, ANSWERED, 0)
    deadlines.fire()
  }, 0)
  t.match(await asked, { kind: 'answered', status: 200, text: '{}' })
})
