/** `account verify [ID]`: one account, or all of them. */
import type { VerificationAnswer } from '../admin/account-actions.ts'
import type { AccountsAnswer } from '../admin/accounts.ts'
import { verifyAll } from '../delivery/verify-all.ts'
import { Refused, type AdminClient } from './admin-client.ts'
import { show, type Command, type Invocation } from './command.ts'
import { renderTable } from './table.ts'
import { EXIT, misused } from './terminal.ts'

/** Accounts between two lines of progress: a second where Pinterest answers, half a minute where it does not. */
const TOLD_EVERY = 20

export const verify: Command = {
  name: 'account verify',
  words: '[ID]',
  does: 'asks Pinterest with a test event whether the token works; without an id for every account',
  positionals: -1,
  async run(invocation) {
    const { positionals, admin } = invocation
    if (positionals.length > 1) throw misused('account verify takes one id at most.')
    const [id] = positionals
    const results =
      id === undefined
        ? await verifyEach(invocation)
        : [{ ad_account_id: id, ...(await verifyOne(admin, id)) }]
    show(invocation, id === undefined ? { verifications: results } : results[0], () =>
      renderTable(
        ['account', 'works', 'status', 'message'],
        results.map(({ ad_account_id, works, status, message }) => [ad_account_id, works, status, message]),
      ),
    )
    return results.every(({ works }) => works) ? EXIT.done : EXIT.partly
  },
}

/** A request per account, a few at once: one for all of them would outlast what fetch waits for an answer. */
async function verifyEach({ admin, terminal }: Invocation) {
  const { accounts } = await admin.get<AccountsAnswer>('/accounts')
  const ids = accounts.map(({ ad_account_id }) => ad_account_id)
  let verified = 0
  let failure: unknown
  return verifyAll(ids, async (id) => {
    // The others would go on with the rest of a list that nobody waits for any more.
    if (failure !== undefined) throw failure
    try {
      const verification = await verifyOrMiss(admin, id)
      verified++
      if (verified % TOLD_EVERY === 0 && verified < ids.length) {
        terminal.tell(`${verified} of ${ids.length} verified`)
      }
      return verification
    } catch (error) {
      failure = error
      throw error
    }
  })
}

export function verifyOne(admin: AdminClient, id: string): Promise<VerificationAnswer> {
  return admin.send('POST', `/accounts/${encodeURIComponent(id)}/verify`)
}

async function verifyOrMiss(admin: AdminClient, id: string): Promise<VerificationAnswer> {
  try {
    return await verifyOne(admin, id)
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error
    return { works: false, status: null, message: 'The account was removed meanwhile.' }
  }
}
