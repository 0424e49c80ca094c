/** What the tests of faults look at: an account's lane, its books, and the dead letters. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Stand } from '../support/relay.ts'

export interface LaneView {
  readonly test: boolean
  readonly status: string
  readonly next_try_in_seconds: number | null
}

export interface Letter {
  readonly ad_account_id: string
  readonly event_id: string
  readonly status: string
  readonly reason: string
}

/** Each question costs milliseconds of CPU, and many ask at once. */
const POLL_MS = 250

/** Asks again and again; a test that waits in vain ends with tap's timeout. */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await delay(POLL_MS)
}

/** The account's live lane; undefined before its first event. */
export async function laneOf({ admin }: Stand, account: string): Promise<LaneView | undefined> {
  const { body } = await admin('GET', `/accounts/${account}`)
  return (body['lanes'] as readonly LaneView[]).find(({ test }) => !test)
}

export async function untilLaneIs(stand: Stand, account: string, status: string): Promise<LaneView> {
  let lane: LaneView | undefined
  await until(async () => {
    lane = await laneOf(stand, account)
    return lane?.status === status
  })
  return lane!
}

export async function booksOf({ admin }: Stand, account: string): Promise<Record<string, unknown>> {
  return (await admin('GET', `/books?ad_account_id=${account}`)).body
}

export async function untilDrained(stand: Stand, account: string): Promise<void> {
  await until(async () => (await booksOf(stand, account))['queued'] === 0)
}

export async function lettersOf({ admin }: Stand, account: string): Promise<readonly Letter[]> {
  return (await admin('GET', `/dead-letters?ad_account_id=${account}`)).body[
    'dead_letters'
  ] as readonly Letter[]
}

/** Registers the accounts; answers a relay key for all of them. */
export async function register({ admin }: Stand, accounts: readonly string[]): Promise<string> {
  for (const account of accounts) {
    const { status } = await admin('PUT', `/accounts/${account}`, {
      access_token: `pina_TOKEN_OF_${account}`,
    })
    assert.equal(status, 201)
  }
  const { body } = await admin('POST', '/keys', { label: 'all', ad_account_ids: accounts })
  return body['key'] as string
}
