/** Posts as a storefront sends them: nine raw fields, an address, a user agent and an order, each with an id of its own. */
let counter = 0

/** Serialized once and cut at its counter, so that making a post costs the load generator next to nothing. */
const PIECES = JSON.stringify(makeEvent()).split('#')

export function makePost(eventCount: number): string {
  let data = ''
  for (let n = 0; n < eventCount; n++) {
    counter += 1
    data += (n === 0 ? '' : ',') + PIECES.join(String(10_000_000 + counter))
  }
  return `{"data":[${data}]}`
}

function makeEvent() {
  return {
    event_name: 'checkout',
    action_source: 'web',
    event_time: Math.floor(Date.now() / 1000),
    event_id: `bench-${process.pid}-#`,
    event_source_url: 'https://shop.example/checkout/thanks?step=3',
    user_data: {
      em: ' Customer.#@Example.com ',
      ph: '+1 415 555 2671',
      fn: 'María José',
      ln: 'O’Connor-Núñez',
      ct: 'San Francisco',
      st: 'California',
      zp: '94107-1234',
      country: 'US',
      external_id: 'cust-#',
      client_ip_address: '203.0.113.7',
      client_user_agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15',
    },
    custom_data: {
      currency: 'USD',
      value: 72.39,
      order_id: 'order-#',
      num_items: 2,
      content_ids: ['sku-1', 'sku-2'],
      contents: [
        { id: 'sku-1', item_name: 'Shirt', item_price: 25, quantity: 1 },
        { id: 'sku-2', item_name: 'Trousers', item_price: 47.39, quantity: 1 },
      ],
    },
  }
}
