/** A shop that connects by itself: its own webhook, one with a wrong signature, and the ping of another shop. */
import { shopifyHeaders, shopifyOrder } from '../../test/support/shop-payloads.ts'
import type { Scene } from '../demo.ts'
import { arrivalsOf } from '../wire.ts'

const SECRET = 'a-secret-that-the-shop-made'

export const webhooksScene: Scene = {
  title: 'A shop connects by itself',
  async play({ stage, screen, claim, ledger }) {
    const { main } = stage.shops
    screen.prose(
      "A Shopify shop needs no program in between: its own webhook goes to the relay, signed with the shop's secret. A source says which ad " +
        'account it is for. What Pinterest gets is made of the order, and hashed.',
    )
    screen.blank()
    const source = { ad_account_id: main.adAccountId, secret: SECRET }
    await stage.admin('PUT', '/sources/demo-shopify', { ...source, kind: 'shopify' })
    await stage.admin('PUT', '/sources/demo-woo', { ...source, kind: 'woocommerce' })
    screen.verbatim('  POST /sources/demo-shopify')
    screen.verbatim('  X-Shopify-Topic: orders/create')
    screen.verbatim(
      '  {"name": "#4711", "email": " Marisol@Quillfeather.example ", "total_price": "56.20", …}',
    )
    screen.blank()
    const order = JSON.stringify(shopifyOrder(new Date()))
    const send = (id: string, body: string, headers: Record<string, string>) =>
      fetch(`${stage.publicUrl}/sources/${id}`, { method: 'POST', headers, body })
    const taken = await send('demo-shopify', order, shopifyHeaders(SECRET, order))
    ledger.received += 1
    claim('the signed order is answered 200 as soon as it is on disk', taken.status === 200)
    await stage.sandbox.until(() => arrivalsOf(stage.sandbox, main, '5678901234567').length > 0)
    const [arrived] = arrivalsOf(stage.sandbox, main, '5678901234567')
    const { event_name: name, custom_data: bought } = (arrived?.event ?? {}) as {
      event_name?: string
      custom_data?: { value?: string; order_id?: string }
    }
    claim(
      'it arrived as a checkout with the value and the number of the order',
      name === 'checkout' && bought?.value === '56.20' && bought.order_id === '4711',
    )
    claim(
      'no name, address or phone number of the order arrived in the clear',
      !/quillfeather|marisol|5550142|napa/i.test(JSON.stringify(arrived?.event)),
    )
    const again = await send('demo-shopify', order, shopifyHeaders(SECRET, order, 'orders/paid'))
    ledger.received += 1
    ledger.duplicate += 1
    claim(
      'the webhook "orders/paid" of the same order is a duplicate: nothing was sent twice',
      again.status === 200 && arrivalsOf(stage.sandbox, main, '5678901234567').length === 1,
    )
    const forged = await send('demo-shopify', order, shopifyHeaders('a-guess', order))
    claim('the same order with a wrong signature is answered 401', forged.status === 401)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const ping = await send('demo-woo', 'webhook_id=4', form)
    claim("WooCommerce's unsigned ping is answered with exactly 200, which it wants", ping.status === 200)
  },
}
