/**
 * What preparing one event costs, in microseconds, beside the floor that no way of preparing it can go under: parsing
 * its JSON, hashing once each value that the relay has to hash, and writing JSON again. Both have the same events of ever new
 * customers, timed in turns in the same run, in rounds shorter than what the scheduler gives at once; of these the
 * tenth percentile is reported: so the ratio holds on a busy machine.
 */
import { hash } from 'node:crypto'
import { FIELDS } from '../src/events/normalize/field.ts'
import { HASHED_FIELD_NAMES } from '../test/support/user-data-fields.ts'
import { isSha256 } from '../src/events/normalize/hashed.ts'
import { type PrepareContext, prepareEvent } from '../src/events/prepare.ts'
import { createCustomers, type Customer } from './customers.ts'

const ROUNDS = 300
const WARM_UP_ROUNDS = 50
const EVENTS_PER_ROUND = 100
const NOW_MS = Date.UTC(2026, 0, 15, 12)

const context: PrepareContext = {
  nowMs: NOW_MS,
  accountCountry: 'US',
  dobFormat: undefined,
  maxEventAgeMs: 168 * 3_600_000,
  isTest: false,
  bots: 'send',
}

const base = {
  action_source: 'web',
  event_time: NOW_MS / 1000 - 60,
  event_source_url: 'https://shop.example/checkout',
}
const browser = {
  client_ip_address: '216.3.128.12',
  client_user_agent:
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
}
const contents = [
  {
    id: 'sku-1',
    item_name: 'Shirt',
    item_category: 'Shirts',
    item_brand: 'Acme',
    item_price: 14.99,
    quantity: 3,
  },
  {
    id: 'sku-2',
    item_name: 'Hat',
    item_category: 'Hats',
    item_brand: 'Acme',
    item_price: '13.71',
    quantity: '2',
  },
]
const makeOrder = (index: number) => ({
  currency: 'usd',
  value: 72.39,
  num_items: 5,
  order_id: `A-${index}`,
  content_ids: ['sku-1', 'sku-2'],
  contents,
  search_string: null,
})

type MakeEvent = (customer: Customer, index: number) => object

/** Orders have numbers that are no customer's: an id with a customer's own digits would be left out of the event trail. */
const cases: Readonly<Record<string, MakeEvent>> = {
  'checkout, nine raw user fields': (customer, index) => ({
    ...base,
    event_name: 'checkout',
    event_id: `evt-${index}`,
    user_data: {
      em: [` Person.${customer.number}@Example.com `],
      ph: [customer.phone],
      ge: customer.isFemale ? 'Female' : 'Male',
      db: `${customer.birthday.year}-${customer.birthday.month}-${customer.birthday.day}`,
      ln: customer.last,
      fn: customer.first,
      ct: customer.city,
      st: customer.state[0],
      zp: customer.postcode,
    },
    custom_data: makeOrder(index),
  }),
  'checkout, twelve raw user fields and a browser': (customer, index) => ({
    ...base,
    event_name: 'checkout',
    event_id: `evt-${index}`,
    user_data: {
      em: [`person.${customer.number}@example.com`],
      ph: [`+1 ${customer.phone}`],
      ge: customer.isFemale ? 'f' : 'm',
      db: `${customer.birthday.day}.${customer.birthday.month}.${customer.birthday.year}`,
      ln: customer.last,
      fn: customer.first,
      ct: customer.city,
      st: customer.state[1],
      zp: customer.postcode,
      country: 'United States',
      external_id: `cust-${customer.number}`,
      hashed_maids: [`a0a0a0a0-1111-4222-8333-44444${customer.number}`],
      ...browser,
    },
    custom_data: makeOrder(index),
  }),
  'checkout, hashed by the sender': ({ number, first, last, phone }, index) => ({
    ...base,
    event_name: 'checkout',
    event_id: `evt-${index}`,
    user_data: {
      em: [sha256(String(number))],
      ph: [sha256(phone)],
      fn: [sha256(first)],
      ln: [sha256(last)],
      ...browser,
    },
    custom_data: makeOrder(index),
  }),
  'page visit with a click id': ({ number }, index) => ({
    ...base,
    event_name: 'page_visit',
    event_id: `evt-${index}`,
    event_source_url: 'https://shop.example/p/1?utm_source=pinterest&epik=dj0yJnU9b2JDcFFHekV4SHJNcmVrbFBk',
    user_data: { external_id: `cust-${number}`, ...browser },
  }),
}

for (const [name, makeEvent] of Object.entries(cases)) report(name, makeEvent)

function report(name: string, makeEvent: MakeEvent): void {
  const nextCustomer = createCustomers(1)
  let index = 0
  const draw = () =>
    Array.from({ length: EVENTS_PER_ROUND }, () => JSON.stringify(makeEvent(nextCustomer(), index++)))
  const prepareTimes: number[] = []
  const wholeTimes: number[] = []
  const floorTimes: number[] = []
  let hashes = 0
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    const parsed = draw().map((body) => JSON.parse(body) as unknown)
    const prepareUs = timePerEvent(() => parsed.forEach((raw) => prepareEvent(raw, context)))
    const bodies = draw()
    const toHash = findValuesToHash(bodies)
    const wholeUs = timePerEvent(() => bodies.forEach((body) => prepareEvent(JSON.parse(body), context)))
    const floorUs = timePerEvent(() => bodies.forEach((body, at) => touchFloor(body, toHash[at]!)))
    if (round < 0) continue
    prepareTimes.push(prepareUs)
    wholeTimes.push(wholeUs)
    floorTimes.push(floorUs)
    hashes += toHash.flat().length
  }
  const [prepareUs, wholeUs, floorUs] = [prepareTimes, wholeTimes, floorTimes].map(tenthPercentile)
  const perEvent = (hashes / ROUNDS / EVENTS_PER_ROUND).toFixed(1)
  process.stdout.write(
    `${name.padEnd(48)} prepare ${prepareUs!.toFixed(1).padStart(5)} µs   parse + prepare ${wholeUs!.toFixed(1).padStart(5)} µs   ` +
      `floor ${floorUs!.toFixed(1).padStart(5)} µs (${perEvent} hashes)   ratio ${(floorUs! / wholeUs!).toFixed(2)}\n`,
  )
}

function touchFloor(body: string, toHash: readonly string[]): number {
  const event = JSON.parse(body) as object
  let length = 0
  for (const value of toHash) length += hash('sha256', value, 'hex').length
  return length + JSON.stringify(event).length
}

/** Of each event the values that the relay will have to hash: not those that came hashed, or that its cache has by then. */
function findValuesToHash(bodies: readonly string[]): string[][] {
  const seen = new Set<string>()
  return bodies.map((body) => {
    const { user_data } = JSON.parse(body) as { user_data: Record<string, string | string[]> }
    return HASHED_FIELD_NAMES.flatMap((field) => {
      const { shared } = FIELDS[field]
      return [user_data[field] ?? []].flat().filter((value) => {
        if (shared === undefined) return !isSha256(value)
        const key = `${field} ${value}`
        const isCached = shared.has(value) || seen.has(key)
        seen.add(key)
        return !isCached
      })
    })
  })
}

function timePerEvent(run: () => void): number {
  const startedNs = process.hrtime.bigint()
  run()
  return Number(process.hrtime.bigint() - startedNs) / 1000 / EVENTS_PER_ROUND
}

function tenthPercentile(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)]!
}

function sha256(text: string): string {
  return hash('sha256', text, 'hex')
}
