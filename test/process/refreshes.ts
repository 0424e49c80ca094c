/** kill -9 around a refresh, at each point of it: three accounts are in the midst of one when their relay is killed. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import type { FaultRule } from '../../sandbox/faults.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { until } from '../support/clock.ts'

export interface Accounts {
  readonly sandbox: Sandbox
  admin(method: string, path: string, body?: object): Promise<Record<string, unknown>>
  /** Its status; rejects when the relay is killed before it answers. */
  post(eventId: string, account: string): Promise<number>
}

const NOT_DONE = '101'
const DONE = '102'
const DONE_AND_LENIENT = '103'
export const GRANTED_ACCOUNTS = [NOT_DONE, DONE, DONE_AND_LENIENT]
/** For so long the sandbox takes a used refresh token again. */
export const GRACE_MS = 600_000

export async function registerGrants({ sandbox, admin }: Accounts): Promise<void> {
  for (const account of GRANTED_ACCOUNTS) {
    const { refreshToken } = sandbox.grants.grant({ clientId: 'app' })
    const oauth = { client_id: 'app', client_secret: 'client-secret', refresh_token: refreshToken }
    await admin('PUT', `/accounts/${account}`, { oauth })
  }
}

/** Scores are asked for as well, at a time that chance chooses. */
function countRefreshes(sandbox: Sandbox): number {
  return sandbox.tokenRequests().filter(({ endpoint }) => endpoint === 'token').length
}

/** Resolves when all three have asked Pinterest, which answers none of them. */
export async function beginRefreshes(accounts: Accounts): Promise<void> {
  const { sandbox } = accounts
  await begin(accounts, NOT_DONE, false)
  await begin(accounts, DONE, true)
  // What was used until now is no longer taken again.
  sandbox.advanceClock(GRACE_MS)
  await begin(accounts, DONE_AND_LENIENT, true)
}

/** A refresh begins since Pinterest refuses a call, and the canary after it. */
async function begin({ sandbox, post }: Accounts, account: string, isRecorded: boolean): Promise<void> {
  const before = countRefreshes(sandbox)
  const refusal: FaultRule = { kind: 'status', status: 401, times: 2, adAccountId: account }
  for (const rule of [refusal, { kind: 'hang', endpoint: 'token', times: 1, isRecorded } as const]) {
    sandbox.faults.add(rule)
  }
  post('invalid', account).catch(() => undefined)
  await until(() => countRefreshes(sandbox) > before)
}

/** What the next process makes of them. */
export async function checkRefreshes(t: Test, { sandbox, admin, post }: Accounts): Promise<void> {
  const requests = 3 * GRANTED_ACCOUNTS.length
  /** Once the new process has asked, and has written down what came of it. */
  const grantOf = async (account: string) => {
    for (;;) {
      const { grant } = (await admin('GET', `/accounts/${account}`)) as {
        grant: Readonly<Record<string, unknown>>
      }
      const isAcknowledged = Number(grant['next_refresh_in_seconds']) > 60
      if (isAcknowledged && countRefreshes(sandbox) >= requests) return grant
      await delay(20)
    }
  }

  await t.test('killed before Pinterest did it: the old pair gets the new one', async (t) => {
    t.match(await grantOf(NOT_DONE), { status: 'valid', last_failure: null })
    t.equal(await post('after', NOT_DONE), 200)
  })

  await t.test('killed after it: reported at once, and events leave with the token in use', async (t) => {
    t.match(await grantOf(DONE), {
      status: 'reauthorize',
      last_failure: { reason: /used before.*earlier refresh was lost/ },
    })
    t.equal(await post('after', DONE), 200, 'the access token is good for the rest of its life')
  })

  await t.test('the same, where Pinterest takes a refresh token twice: nothing happened', async (t) => {
    t.match(await grantOf(DONE_AND_LENIENT), { status: 'valid', last_failure: null })
    t.equal(await post('after', DONE_AND_LENIENT), 200)
  })

  await t.test('each process asked once for each', async (t) => {
    t.equal(countRefreshes(sandbox), requests)
    // But for the one that was not done.
    t.match(sandbox.oauthStats(), { refreshes: requests - 1, reuses: 1 })
  })
}
