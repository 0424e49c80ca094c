/** What `--keep` adds: where everything is, a request to try, and orders that continue. */
import { setTimeout as delay } from 'node:timers/promises'
import { curlFor } from '../src/cli/init.ts'
import { sampleEvent } from './sample.ts'
import type { Screen } from './screen.ts'
import type { Stage } from './stage.ts'

export function showAddresses(stage: Stage, screen: Screen): void {
  const { publicUrl, adminUrl, adminToken, sandbox, folder, shops } = stage
  const { adAccountId, relayKey } = shops.main
  screen.heading('Everything is left running, and orders continue; Ctrl-C ends it and removes the store')
  const lines = [
    ['console', `${adminUrl}/ (asks for the admin token)`],
    ['admin token', adminToken],
    ['public port', `${publicUrl}/v5`],
    ['relay key', `${relayKey} (ad account ${adAccountId})`],
    ['sandbox', `${sandbox.origin}/_sandbox/journal?ad_account_id=${adAccountId}`],
    ['store', folder],
  ] as const
  for (const [name, value] of lines) screen.verbatim(`${name.padEnd(13)}${value}`)
  screen.blank()
  screen.verbatim(curlFor(`${publicUrl}/v5/ad_accounts/${adAccountId}/events`, relayKey))
  screen.blank()
  screen.verbatim(`curl -s -H 'Authorization: Bearer ${adminToken}' ${adminUrl}/totals`)
}

/** Until the stage closes: an order or two a second, so that the console has something to show. Rejects when it has closed. */
export async function sendOrders(stage: Stage): Promise<never> {
  const { main, busy, quiet } = stage.shops
  for (let number = 1; ; number++) {
    for (const shop of number % 3 === 0 ? [main, busy, quiet] : [main]) {
      await stage.post(shop, [sampleEvent(`kept-${shop.adAccountId}-${number}`)])
    }
    await delay(PAUSE_MS)
  }
}

const PAUSE_MS = 1000
