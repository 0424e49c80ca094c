/** Large posts that come all at once, more than there is room for: admission.test.ts has small events, admission.long.ts many. */
import type { Test } from 'tap'
import { LONGEST_WAIT_MS } from '../../src/ingest/admission.ts'
import { LARGE_BYTES } from '../../src/store/engine/work.ts'
import { catchDeadlines } from '../support/deadlines.ts'
import { rawEvent } from '../support/events.ts'
import { setUp } from '../support/relay.ts'

export interface Burst {
  readonly posts: number
  readonly eventsEach: number
  /** Two bodies of this size have room at once. */
  readonly bodyLimitBytes: number
}

/** All of them are taken. */
export async function postBurst(t: Test, { posts, eventsEach, bodyLimitBytes }: Burst): Promise<void> {
  const { post, admin } = await setUp(t, { BODY_LIMIT_BYTES: String(bodyLimitBytes) })
  // On a slow machine the last one waits longer.
  catchDeadlines(t, LONGEST_WAIT_MS)
  // White space makes a post of few events a large one.
  const large = () =>
    JSON.stringify({ data: Array.from({ length: eventsEach }, () => rawEvent()) }).padEnd(LARGE_BYTES + 1)
  const answers = Array.from({ length: posts }, () => post(large(), { headers: { prefer: 'respond-async' } }))
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  t.ok(statuses.every((status) => status === 202))
  const totals = await admin('GET', '/totals')
  t.equal(totals.body['received'], posts * eventsEach)
}
