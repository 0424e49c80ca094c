/**
 * Posts as a storefront sends them: a checkout with nine user fields, an address, a user agent and an order, each with an
 * id of its own. Serialized once and patched in place, so that making a post costs the load generator next to nothing.
 *
 * `hashed` posts hold what a storefront that hashes by itself would send: Pinterest takes them from everybody. Of `raw`
 * ones it takes none that a proxy passes on as they are.
 */
import { hash } from 'node:crypto'
import { threadId } from 'node:worker_threads'

export type PostKind = 'hashed' | 'raw'

/**
 * Eight digits each, patched into every event: the order's and the customer's. They differ, since an id with the customer's own
 * digits in it would not be kept in the event trail.
 */
const ORDER = '10000000'
const CUSTOMER = '70000000'
const MARK_BYTES = ORDER.length
let counter = 0

export interface PostTemplate {
  /** A body that was never sent before; valid until the next one is made. */
  next(): Uint8Array
}

export function createPosts(kind: PostKind, eventCount: number): PostTemplate {
  const event = JSON.stringify(makeEvent(kind))
  const body = Buffer.from(`{"data":[${Array.from({ length: eventCount }, () => event).join(',')}]}`)
  const marks = [ORDER, CUSTOMER].map((mark) => ({ places: findAll(body, mark), from: Number(mark) }))
  return {
    next() {
      for (const { places, from } of marks) {
        const perEvent = places.length / eventCount
        for (let index = 0; index < places.length; index++) {
          writeDigits(body, places[index]!, from + counter + Math.floor(index / perEvent))
        }
      }
      counter += eventCount
      return body
    },
  }
}

function findAll(body: Buffer, text: string): number[] {
  const places: number[] = []
  for (let at = body.indexOf(text); at >= 0; at = body.indexOf(text, at + 1)) places.push(at)
  return places
}

function writeDigits(body: Buffer, place: number, value: number): void {
  for (let at = place + MARK_BYTES - 1; at >= place; at--) {
    body[at] = 0x30 + (value % 10)
    value = Math.floor(value / 10)
  }
}

function makeEvent(kind: PostKind) {
  return {
    event_name: 'checkout',
    action_source: 'web',
    event_time: Math.floor(Date.now() / 1000),
    // Each thread counts from the beginning.
    event_id: `bench-${process.pid}-${threadId}-${ORDER}`,
    event_source_url: 'https://shop.example/checkout/thanks?step=3',
    user_data: {
      ...(kind === 'raw' ? RAW : hashAll(RAW)),
      client_ip_address: '203.0.113.7',
      client_user_agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15',
    },
    custom_data: {
      currency: 'USD',
      value: '72.39',
      order_id: `order-${ORDER}`,
      num_items: 2,
      content_ids: ['sku-1', 'sku-2'],
      contents: [
        { id: 'sku-1', item_name: 'Shirt', item_price: '25.00', quantity: 1 },
        { id: 'sku-2', item_name: 'Trousers', item_price: '47.39', quantity: 1 },
      ],
    },
  }
}

const RAW = {
  em: ` Customer.${CUSTOMER}@Example.com `,
  ph: '+1 415 555 2671',
  fn: 'María José',
  ln: 'O’Connor-Núñez',
  ct: 'San Francisco',
  st: 'California',
  zp: '94107-1234',
  country: 'US',
  external_id: `cust-${CUSTOMER}`,
}

/** As Pinterest wants them. The digits that are patched make another hash of it, which is one all the same. */
function hashAll(fields: Readonly<Record<string, string>>): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(fields).map(([field, value]) => {
      const hex = hash('sha256', value, 'hex')
      return [field, [field === 'em' || field === 'external_id' ? CUSTOMER + hex.slice(MARK_BYTES) : hex]]
    }),
  )
}
