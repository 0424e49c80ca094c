import { Readable } from 'node:stream'

/** Verifies many accounts, a few at a time: an agency's thousand must not become a thousand calls at once. */
export function verifyAll<Result extends object>(
  adAccountIds: readonly string[],
  verifyOne: (adAccountId: string) => Promise<Result>,
): Promise<(Result & { ad_account_id: string })[]> {
  return Readable.from(adAccountIds)
    .map(async (id: string) => ({ ad_account_id: id, ...(await verifyOne(id)) }), { concurrency: 8 })
    .toArray()
}
