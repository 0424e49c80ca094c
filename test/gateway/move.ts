/** An account moves from cell to cell behind the real nginx, while posts come in. */
import { createHmac } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { createCommandLine } from '../cli/stage.ts'
import { ACCOUNT, ADMIN_TOKEN, TOKEN } from '../support/constants.ts'
import { rawEvent } from '../support/events.ts'
import { startGatewayToCells } from '../support/gateway.ts'
import type { Stand } from '../support/relay.ts'
import { createClient } from './client.ts'

const POSTERS = 4
/** Seconds, in which the new cell's call limiter fills: called too early, the two would exceed the limit together. */
const SWITCH_AFTER = 45
const FILL_MS = 30_000
/** That come in while the command waits for a second. */
const POSTS_A_SECOND = 2
export const CALLS_PER_MINUTE = 30
export const LIMITS = { CALLS_PER_MINUTE: String(CALLS_PER_MINUTE), CALL_BURST: '10' }
const SOURCE = `${ACCOUNT}-shop`
const SECRET = 'shpss_0123456789abcdef'

export interface MoveOptions {
  /** Their relays. The first cell has the account, the second is without it. */
  readonly cells: readonly [readonly [Stand, ...Stand[]], readonly [Stand]]
  /** Time passes for relays and sandbox. */
  readonly pass: (ms: number) => Promise<void>
  /** Between the posts of one poster. */
  readonly paceMs: number
}

/** It loses no event, and is within its call limit throughout. */
export async function moveAccount(t: Test, options: MoveOptions): Promise<void> {
  const { cells, pass, paceMs } = options
  const [[one], [two]] = cells
  const { relay, gateway } = await openGateway(t, cells)
  const { sandbox } = one
  const { body: put } = await one.admin('PUT', `/sources/${SOURCE}`, {
    kind: 'shopify',
    ad_account_id: ACCOUNT,
    secret: SECRET,
  })
  t.match(put, { id: SOURCE })
  const client = createClient(t, gateway.port, POSTERS)
  const taken: string[] = []
  const refused: unknown[] = []
  let posted = 0
  const done = new AbortController()
  const poster = async () => {
    while (!done.signal.aborted) {
      const eventId = `event-${(posted += 1)}`
      const body = JSON.stringify({ data: [rawEvent({ event_id: eventId })] })
      const headers = { authorization: `Bearer ${one.relayKey}`, prefer: 'respond-async' }
      // A connection that an nginx process closes as it ends: the shop has no answer, and would post again.
      const answer = await client.post({ headers, body }).catch(() => undefined)
      if (answer?.status === 202) taken.push(eventId)
      else if (answer !== undefined) refused.push(answer)
      await delay(paceMs)
    }
  }
  // The old cell's call limiter is full, too.
  await pass(FILL_MS)
  const posters = Array.from({ length: POSTERS }, poster)

  let waits = 0
  const wait = async (ms: number) => {
    waits += 1
    if (waits === SWITCH_AFTER) {
      const { stdout, code } = await relay('cells --map')
      t.equal(code, 0)
      t.match(stdout, `${ACCOUNT} cell-2;`)
      await gateway.place(stdout)
    }
    const before = taken.length
    while (taken.length < before + POSTS_A_SECOND) await delay(2)
    // A clock that is moved on waits for both stores, or one would seem to hang.
    await Promise.all([one, two].map(({ admin }) => admin('GET', '/totals')))
    await pass(ms)
  }
  const moved = await relay(`account move ${ACCOUNT} --to cell-2`, { wait })
  t.equal(moved.code, 0, moved.stderr)
  t.equal(moved.stdout, `account ${ACCOUNT} is in cell-2`)
  t.match(moved.stderr, `  ${ACCOUNT} cell-2;`)

  for (let seconds = 0; seconds < SWITCH_AFTER; seconds += 1) await wait(1000)
  done.abort()
  await Promise.all(posters)

  t.strictSame(refused, [], `all of ${posted} posts were taken`)
  const arrived = () => sandbox.conversions.counts(ACCOUNT)
  for (let count = 0; count < 200 && !taken.every((id) => arrived().has(id)); count += 1) {
    await pass(1000)
    await delay(10)
  }
  t.strictSame(
    taken.filter((id) => !arrived().has(id)),
    [],
    `each of ${taken.length} answered events reached Pinterest`,
  )
  const { throttled, maxCallsInWindow } = sandbox.stats()[ACCOUNT]!
  t.equal(throttled, 0)
  t.ok(
    maxCallsInWindow > CALLS_PER_MINUTE / 2,
    `enough posts to find its limit: ${maxCallsInWindow} calls in a minute`,
  )
  t.ok(maxCallsInWindow <= CALLS_PER_MINUTE, `${maxCallsInWindow} calls in a minute at most`)

  t.equal((await one.admin('GET', `/accounts/${ACCOUNT}`)).status, 404)
  t.match((await one.admin('GET', '/sources')).body, { sources: [] })
  t.match((await relay(`cells ${ACCOUNT}`)).stdout, /^cell-2 /m)
  const body = '{}'
  const signature = createHmac('sha256', SECRET).update(body).digest('base64')
  const headers = { 'x-shopify-hmac-sha256': signature, 'x-shopify-topic': 'app/uninstalled' }
  t.equal((await client.post({ path: `/sources/${SOURCE}`, headers, body })).status, 200)
  t.match((await two.admin('GET', `/accounts/${ACCOUNT}`)).body, { paused: false, label: 'test shop' })
  t.notMatch(JSON.stringify([moved, one.logLines, two.logLines]), new RegExp([TOKEN, SECRET].join('|')))
}

async function openGateway(t: Test, [one, two]: MoveOptions['cells']) {
  const gateway = await startGatewayToCells([one.map(portOf), two.map(portOf)], `${ACCOUNT} cell-1;\n`)
  t.teardown(gateway.close)
  const run = createCommandLine()
  const environment = { ADMIN_URL: `${one[0].relay.adminUrl}, ${two[0].relay.adminUrl}`, ADMIN_TOKEN }
  const relay: typeof run = (words, line = {}) => run(words, { ...line, environment })
  return { relay, gateway }
}

function portOf({ relay }: Stand): number {
  return Number(new URL(relay.publicUrl).port)
}
