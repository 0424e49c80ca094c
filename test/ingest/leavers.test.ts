/** Posts of every size and kind that stall and leave by chance. Afterwards there is as much room for bodies as at the start. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { LONGEST_WAIT_MS } from '../../src/ingest/admission.ts'
import { LARGE_BYTES } from '../../src/store/engine/work.ts'
import { until } from '../support/clock.ts'
import { rawEvent } from '../support/events.ts'
import { createRandom, type Random } from '../support/random.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'
import { TEST_SEED } from '../support/seed.ts'

const POSTS = 60
const ROUNDS = 3
const LIMIT_BYTES = 2 * LARGE_BYTES
/** Two large bodies and eight of these fill the room of an account. */
const SMALL_BYTES = LIMIT_BYTES / 4
const FILLING = [LIMIT_BYTES, LIMIT_BYTES, ...Array.from({ length: 8 }, () => SMALL_BYTES)]
const SIZES = [0, 10, 700, SMALL_BYTES, LARGE_BYTES, LIMIT_BYTES, LIMIT_BYTES + 1]
const CHUNKED = 'transfer-encoding: chunked'

const bodyOf = (sizeBytes: number) =>
  JSON.stringify({ data: [rawEvent()] })
    .padEnd(sizeBytes)
    .slice(0, Math.max(sizeBytes, 700))

const headOf = (key: string, more: string) =>
  `POST /v5/ad_accounts/${ACCOUNT}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n` +
  `prefer: respond-async\r\ncontent-type: application/json\r\n${more}\r\n\r\n`

/** What a sender writes before it leaves: whole or not, announced rightly or not, perhaps behind other posts. */
function choosePost({ pick, chance, next }: Random, relayKey: string): string {
  const sizeBytes = pick(SIZES)
  const length = `content-length: ${sizeBytes}`
  const framing = pick([length, length, CHUNKED])
  const expect = pick(['', '', '\r\nexpect: 100-continue'])
  let head = headOf(pick([relayKey, relayKey, 'prl_wrong']), framing + expect)
  if (chance(0.2)) head = head.replace(/\/v5\S+/, '/sources/none')
  if (chance(0.2)) head = head.replace('/json', pick(['/xml', '/json; charset=latin1']))
  const body = bodyOf(sizeBytes)
  const sent = pick([body, body, body.slice(0, body.length * next()), '', `${body}too much`])
  const chunk = sent && `${sent.length.toString(16)}\r\n${sent}\r\n${pick(['0\r\n\r\n', ''])}`
  const before = headOf(relayKey, 'content-length: 700') + bodyOf(700)
  return (chance(0.2) ? before.repeat(3) : '') + head + (framing === CHUNKED ? chunk : sent)
}

async function postAndLeave(port: number, random: Random, relayKey: string): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => undefined).resume()
  socket.write(choosePost(random, relayKey))
  for (let turns = random.pick([0, 0, 1, 3, 10, 100]); turns > 0; turns--) await nextTurn()
  if (random.chance(0.3)) socket.resetAndDestroy()
  else if (random.chance(0.5)) socket.end()
  for (let turns = random.pick([0, 100]); turns > 0; turns--) await nextTurn()
  socket.destroy()
  await closed
}

/** Knows who waits for room, and what else waits as long. */
function createClock() {
  const waiting = new Set<object>()
  const after: Clock['after'] = (delayMs, callback) => {
    const one = {}
    if (delayMs === LONGEST_WAIT_MS) waiting.add(one)
    const cancel = systemClock.after(delayMs, () => {
      waiting.delete(one)
      callback()
    })
    return () => {
      waiting.delete(one)
      cancel()
    }
  }
  return { clock: { ...systemClock, after }, waiting }
}

t.test('posts that stall and leave at any moment hold no room afterwards', async (t) => {
  const { clock, waiting } = createClock()
  const settings = { POSTS_PER_MINUTE: '0', BODY_LIMIT_BYTES: String(LIMIT_BYTES) }
  const { relay, relayKey, post } = await setUp(t, settings, {}, { clock })
  const port = Number(new URL(relay.publicUrl).port)
  const others = waiting.size

  /** Whether as many bodies as there is room for are inside at once, and taken. */
  async function hasAllRoom(): Promise<boolean> {
    const posts = FILLING.map((sizeBytes) => {
      const socket = connect(port, '127.0.0.1')
      const body = bodyOf(sizeBytes)
      socket.write(headOf(relayKey, `content-length: ${sizeBytes}`) + body.slice(0, 9))
      return { socket, rest: body.slice(9), answer: once(socket, 'data') }
    })
    // Read after their heads.
    await post({ data: [] }, { key: 'prl_wrong' })
    for (let turns = 0; turns < 10; turns++) await nextTurn()
    const doesNobodyWait = waiting.size <= others
    for (const { socket, rest } of posts) socket.write(rest)
    const answers = await Promise.all(posts.map(({ answer }) => answer))
    for (const { socket } of posts) socket.destroy()
    return doesNobodyWait && answers.every(([data]) => String(data).startsWith('HTTP/1.1 202'))
  }

  for (let seed = TEST_SEED; seed < TEST_SEED + ROUNDS; seed++) {
    const random = createRandom(seed)
    await Promise.all(Array.from({ length: POSTS }, () => postAndLeave(port, random, relayKey)))
    // The engine may still have some.
    await t.resolves(until(hasAllRoom), `seed ${seed}`)
  }
})
