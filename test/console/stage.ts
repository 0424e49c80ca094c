/** A relay with some life in it, and the console in a browser. */
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import { rawEvent } from '../support/events.ts'
import { ADMIN_TOKEN, type Guest } from '../support/relay.ts'
import { shopifyHeaders } from '../support/shop-payloads.ts'

/** Comes to the live view, with the session that there is or a new one. */
export async function logIn(page: Page, stand: Guest): Promise<void> {
  await page.goto(`${stand.relay.adminUrl}/#/`)
  const token = page.getByLabel('Admin token')
  const navigation = page.getByRole('navigation')
  await token.or(navigation).waitFor()
  if (await token.isVisible()) {
    await token.fill(ADMIN_TOKEN)
    await page.keyboard.press('Enter')
  }
  await navigation.waitFor()
}

/** Delivered, invalid, rejected and warned events of three names. */
export async function makeHistory(stand: Guest, rejected = 3): Promise<void> {
  const refusedIds = Array.from({ length: rejected }, (_, index) => `dead-${index}`)
  stand.sandbox.faults.set([
    { kind: 'failEvents', eventIds: refusedIds, message: 'this one is not accepted' },
  ])
  const poor = {
    em: 'n/a',
    client_ip_address: '203.0.113.7',
    client_user_agent: 'Mozilla/5.0 (X11; Linux x86_64)',
  }
  await stand.post({
    data: [
      ...Array.from({ length: 25 }, () => rawEvent({ event_name: 'page_visit', user_data: poor })),
      ...Array.from({ length: 4 }, () => rawEvent()),
      ...refusedIds.map((id) => rawEvent({ event_name: 'signup', event_id: id })),
      { event_name: 'checkout' },
    ],
  })
  stand.sandbox.faults.set([])
}

export const SHOP_SECRET = 'secret-of-a-shop-0123'

/** A webhook of Shopify; registers the source if it has to. */
export async function sendToSource(
  { admin, account, relay }: Guest,
  id: string,
  topic: string,
  isSigned: boolean,
): Promise<void> {
  const source = { kind: 'shopify', ad_account_id: account, secret: SHOP_SECRET }
  if ((await admin('GET', `/sources/${id}`)).status === 404) await admin('PUT', `/sources/${id}`, source)
  const body = '{}'
  const headers = shopifyHeaders(isSigned ? SHOP_SECRET : 'wrong', body, topic)
  await fetch(`${relay.publicUrl}/sources/${id}`, { method: 'POST', headers, body })
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The rules that colours and widths decide. */
export const RULES_OF_LOOKS = [
  'color-contrast',
  'link-in-text-block',
  'scrollable-region-focusable',
  'target-size',
]

/** What a page breaks of the rules of accessibility: one line each. */
export async function violationsOf(page: Page, rules?: readonly string[]): Promise<string[]> {
  if (!(await page.evaluate<boolean>(`'axe' in globalThis`))) await page.evaluate(AXE)
  return page.evaluate(async (runOnly) => {
    const { axe } = globalThis as unknown as { axe: AxeCore }
    const { violations } = await axe.run({ resultTypes: ['violations'], ...(runOnly && { runOnly }) })
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`))
  }, rules)
}

interface AxeCore {
  run(options: {
    resultTypes: ['violations']
    runOnly?: readonly string[]
  }): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>
}
