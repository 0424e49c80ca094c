/**
 * Posts as a storefront sends them: a checkout with nine user fields, an address, a user agent and an order, each of another
 * customer and with an id of its own. Serialized before they are sent and patched in place, so that making a post costs the load
 * generator next to nothing.
 *
 * `hashed` posts hold what a storefront that hashes by itself would send: Pinterest takes them from everybody. Of `raw`
 * ones it takes none that a proxy passes on as they are.
 */
import { hash } from 'node:crypto'
import { threadId } from 'node:worker_threads'
import { createCustomers, type Customer } from './customers.ts'

export type PostKind = 'hashed' | 'raw'

/** Before the first comes again, with another address and other ids. They have 2,200 cities: the relay's cache keeps 4,096. */
const CUSTOMERS = 8192

/**
 * Eight digits each, patched into every event: the order's and the customer's. They differ, since an id with the customer's own
 * digits in it would not be kept in the event trail.
 */
const ORDER = '10000000'
const CUSTOMER = '70000000'
const MARK_BYTES = ORDER.length
let counter = 0

export interface PostTemplate {
  /** A body that was never sent before, as long as every other; valid until the next one is made. */
  next(): Uint8Array
}

export function createPosts(kind: PostKind, eventCount: number): PostTemplate {
  const nextCustomer = createCustomers(1)
  const texts = Array.from({ length: Math.ceil(CUSTOMERS / eventCount) }, () => {
    const events = Array.from({ length: eventCount }, () => JSON.stringify(makeEvent(kind, nextCustomer())))
    return `{"data":[${events.join(',')}]}`
  })
  const lengthBytes = Math.max(...texts.map((text) => Buffer.byteLength(text)))
  const bodies = texts.map((text) => {
    // Behind JSON white space means nothing.
    const body = Buffer.alloc(lengthBytes, ' ')
    body.write(text)
    return {
      body,
      marks: [ORDER, CUSTOMER].map((mark) => ({ places: findAll(body, mark), from: Number(mark) })),
    }
  })
  let turn = 0
  return {
    next() {
      const { body, marks } = bodies[turn++ % bodies.length]!
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

function makeEvent(kind: PostKind, customer: Customer) {
  const raw = describe(customer)
  return {
    event_name: 'checkout',
    action_source: 'web',
    event_time: Math.floor(Date.now() / 1000),
    // Each thread counts from the beginning.
    event_id: `bench-${process.pid}-${threadId}-${ORDER}`,
    event_source_url: 'https://shop.example/checkout/thanks?step=3',
    user_data: {
      ...(kind === 'raw' ? raw : hashAll(raw, customer)),
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

const describe = ({ first, last, phone, city, state, postcode }: Customer) => ({
  em: ` Customer.${CUSTOMER}@Example.com `,
  ph: `+1 ${phone}`,
  fn: first,
  ln: last,
  ct: city,
  st: state[0],
  zp: `${postcode}-1234`,
  country: 'US',
  external_id: `cust-${CUSTOMER}`,
})

/** As Pinterest wants them. The digits that are patched make another hash of it, which is one all the same. */
function hashAll(fields: Readonly<Record<string, string>>, { number }: Customer): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(fields).map(([field, value]) => {
      const isPatched = value.includes(CUSTOMER)
      const hex = hash('sha256', isPatched ? `${value}${number}` : value, 'hex')
      return [field, [isPatched ? CUSTOMER + hex.slice(MARK_BYTES) : hex]]
    }),
  )
}
