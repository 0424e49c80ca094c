/** What the tests of faults look at: an account's queue, its totals, and the dead letters. */
import { until as untilAsked } from '../support/clock.ts'
import type { Stand } from '../support/relay.ts'

export interface QueueView {
  readonly test: boolean
  readonly status: string
  readonly next_try_in_seconds: number | null
}

export interface DeadLetter {
  readonly ad_account_id: string
  readonly event_id: string
  readonly status: string
  readonly reason: string
}

/** Many ask at once. */
const PACE_MS = 250

export const until = (isSo: () => Promise<boolean>) => untilAsked(isSo, PACE_MS)

/** The account's live queue; undefined before its first event. */
export async function queueOf({ admin }: Stand, account: string): Promise<QueueView | undefined> {
  const { body } = await admin('GET', `/accounts/${account}`)
  return (body['queues'] as readonly QueueView[]).find(({ test }) => !test)
}

export async function untilQueueIs(stand: Stand, account: string, status: string): Promise<QueueView> {
  let queue: QueueView | undefined
  await until(async () => {
    queue = await queueOf(stand, account)
    return queue?.status === status
  })
  return queue!
}

export async function totalsOf({ admin }: Stand, account: string): Promise<Record<string, unknown>> {
  return (await admin('GET', `/totals?ad_account_id=${account}`)).body
}

export async function untilDrained(stand: Stand, account: string): Promise<void> {
  await until(async () => (await totalsOf(stand, account))['queued'] === 0)
}

export async function deadLettersOf({ admin }: Stand, account: string): Promise<readonly DeadLetter[]> {
  return (await admin('GET', `/dead-letters?ad_account_id=${account}`)).body[
    'dead_letters'
  ] as readonly DeadLetter[]
}
