/** Verifies many accounts, a few at a time: an agency's thousand must not become a thousand calls at once. */
const AT_ONCE = 8

export async function verifyAll<Result extends object>(
  adAccountIds: readonly string[],
  verifyOne: (adAccountId: string) => Promise<Result>,
): Promise<(Result & { ad_account_id: string })[]> {
  const results: (Result & { ad_account_id: string })[] = []
  const left = adAccountIds.entries()
  async function work(): Promise<void> {
    for (const [place, adAccountId] of left) {
      results[place] = { ad_account_id: adAccountId, ...(await verifyOne(adAccountId)) }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return results
}
