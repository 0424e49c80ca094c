/** What `--keep` prints: where everything is, and a request to try. */
import type { Screen } from './screen.ts'
import type { Stage } from './stage.ts'

export function showAddresses(stage: Stage, screen: Screen): void {
  const { publicUrl, adminUrl, adminToken, sandbox, folder, shops } = stage
  const { adAccountId, relayKey } = shops.main
  screen.heading('Everything is left running; Ctrl-C ends it and removes the store')
  const lines = [
    ['public port', `${publicUrl}/v5`],
    ['relay key', `${relayKey} (ad account ${adAccountId})`],
    ['admin port', adminUrl],
    ['admin token', adminToken],
    ['sandbox', `${sandbox.origin}/_sandbox/journal?ad_account_id=${adAccountId}`],
    ['store', folder],
  ] as const
  for (const [name, value] of lines) screen.verbatim(`${name.padEnd(13)}${value}`)
  screen.blank()
  screen.verbatim(curlFor(`${publicUrl}/v5/ad_accounts/${adAccountId}/events`, relayKey))
  screen.blank()
  screen.verbatim(`curl -s -H 'Authorization: Bearer ${adminToken}' ${adminUrl}/totals`)
}

/** The shell fills in the time, so that it can be pasted again and again. */
function curlFor(url: string, relayKey: string): string {
  return `now=$(date +%s); curl -s '${url}' \\
  -H 'Authorization: Bearer ${relayKey}' -H 'Content-Type: application/json' \\
  -d '{"data": [{"event_name": "checkout", "action_source": "web", "event_time": '$now',
       "event_id": "curl-'$now'", "user_data": {"em": " Person@Example.COM ", "ph": "(415) 555-2671"},
       "custom_data": {"value": 72.5, "currency": "usd"}}]}'`
}
