/**
 * What preparing one event costs, in microseconds, beside the floor that no way of preparing it can go under: parsing
 * its JSON, hashing as many values once, and writing JSON again. Both are timed in turns in the same run, in rounds shorter
 * than what the scheduler gives at once, and of these the tenth that took least is left: so the ratio holds on a busy machine.
 */
import { hash } from 'node:crypto'
import { type PrepareContext, prepareEvent } from '../src/events/prepare.ts'

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
const customData = {
  currency: 'usd',
  value: 72.39,
  num_items: 5,
  order_id: 'A-1001',
  content_ids: ['sku-1', 'sku-2'],
  contents,
  search_string: null,
}

/** Values differ from event to event (`#` is its number), as customers do; caches of single values do not help. */
const cases: Readonly<Record<string, object>> = {
  'checkout, nine raw user fields': {
    ...base,
    event_name: 'checkout',
    event_id: 'evt-#',
    user_data: {
      em: [' Person.#@Example.com '],
      ph: ['(415) 555-26##'],
      ge: 'Female',
      db: '1990-03-07',
      ln: 'O’Connor #',
      fn: 'José',
      ct: 'San Francisco',
      st: 'California',
      zp: '94107-1234',
    },
    custom_data: customData,
  },
  'checkout, twelve raw user fields and a browser': {
    ...base,
    event_name: 'checkout',
    event_id: 'evt-#',
    user_data: {
      em: ['person.#@example.com'],
      ph: ['+1 415 555 26##'],
      ge: 'f',
      db: '07.03.1990',
      ln: 'Doe#',
      fn: 'Jane',
      ct: 'St. Louis',
      st: 'MO',
      zp: '63101',
      country: 'United States',
      external_id: 'cust-#',
      hashed_maids: ['a0a0a0a0-1111-4222-8333-4444444444##'],
      ...browser,
    },
    custom_data: customData,
  },
  'checkout, hashed by the sender': {
    ...base,
    event_name: 'checkout',
    event_id: 'evt-#',
    user_data: { em: [sha256('a')], ph: [sha256('b')], fn: [sha256('c')], ln: [sha256('d')], ...browser },
    custom_data: customData,
  },
  'page visit with a click id': {
    ...base,
    event_name: 'page_visit',
    event_id: 'evt-#',
    event_source_url: 'https://shop.example/p/1?utm_source=pinterest&epik=dj0yJnU9b2JDcFFHekV4SHJNcmVrbFBk',
    user_data: { external_id: 'cust-#', ...browser },
  },
}

for (const [name, event] of Object.entries(cases)) report(name, event)

function report(name: string, event: object): void {
  const bodies = Array.from({ length: EVENTS_PER_ROUND }, (_, index) => {
    return JSON.stringify(event)
      .replaceAll('##', String(10 + (index % 90)))
      .replaceAll('#', String(index))
  })
  const hashCount = countHashes(bodies[0]!)
  const prepareTimes: number[] = []
  const wholeTimes: number[] = []
  const floorTimes: number[] = []
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    const parsed = bodies.map((body) => JSON.parse(body) as unknown)
    const prepareUs = timePerEvent(() => parsed.forEach((raw) => prepareEvent(raw, context)))
    const wholeUs = timePerEvent(() => bodies.forEach((body) => prepareEvent(JSON.parse(body), context)))
    const floorUs = timePerEvent(() => bodies.forEach((body) => touchFloor(body, hashCount)))
    if (round < 0) continue
    prepareTimes.push(prepareUs)
    wholeTimes.push(wholeUs)
    floorTimes.push(floorUs)
  }
  const [prepareUs, wholeUs, floorUs] = [least(prepareTimes), least(wholeTimes), least(floorTimes)]
  process.stdout.write(
    `${name.padEnd(48)} prepare ${prepareUs.toFixed(1).padStart(5)} µs   parse + prepare ${wholeUs.toFixed(1).padStart(5)} µs   ` +
      `floor ${floorUs.toFixed(1).padStart(5)} µs (${hashCount} hashes)   ratio ${(wholeUs / floorUs).toFixed(2)}\n`,
  )
}

function touchFloor(body: string, hashCount: number): number {
  const event = JSON.parse(body) as { event_id: string }
  let length = 0
  for (let n = 0; n < hashCount; n++) length += hash('sha256', `${event.event_id} person ${n}`, 'hex').length
  return length + JSON.stringify(event).length
}

/** Hashes that the relay makes itself, which leaves out those that came ready. */
function countHashes(body: string): number {
  const prepared = prepareEvent(JSON.parse(body), context)
  if (prepared.status !== 'prepared') throw new Error(prepared.reason)
  const all = prepared.json.match(/"[0-9a-f]{64}"/g) ?? []
  return all.filter((quoted) => !body.includes(quoted)).length
}

function timePerEvent(run: () => void): number {
  const startedNs = process.hrtime.bigint()
  run()
  return Number(process.hrtime.bigint() - startedNs) / 1000 / EVENTS_PER_ROUND
}

/** Of a tenth of the rounds. */
function least(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 10)]!
}

function sha256(text: string): string {
  return hash('sha256', text, 'hex')
}
