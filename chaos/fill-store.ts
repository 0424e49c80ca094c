/**
 * Fills a store through its own interface, as a process of its own, so that the relay finds a backlog:
 * `node chaos/fill-store.ts PATH ACCOUNT EVENTS SEED`, with MASTER_KEY in the environment.
 */
import { dedupeKeys } from '../src/store/core/sealed.ts'
import { hash } from 'node:crypto'
import { openSqlite } from '../test/support/stores.ts'
import type { EventIdentity, NewBatch } from '../src/store/store.ts'
import { parseMasterKey } from '../src/vault/master-key.ts'
import { createRandom } from '../test/support/random.ts'
import { joinEvents, postedAs } from '../test/support/payload.ts'

const [path = '', adAccountId = '', eventsText = '0', seedText = '1'] = process.argv.slice(2)
const random = createRandom(Number(seedText))
const nowS = Math.floor(Date.now() / 1000)
const current = parseMasterKey('MASTER_KEY', process.env['MASTER_KEY'] ?? '')
const opened = await openSqlite({ path, masterKeys: { current } })
/** Enough at once for full transactions, few enough to stay small. */
const BATCHES_AT_ONCE = 1000

let left = Number(eventsText)
while (left > 0) {
  const commits: Promise<unknown>[] = []
  while (commits.length < BATCHES_AT_ONCE && left > 0) {
    const size = Math.min(left, random.between(1, 20))
    commits.push(opened.store.commit(makeBatch(size, left)))
    left -= size
  }
  await Promise.all(commits)
}
await opened.close()

function makeBatch(size: number, number: number): NewBatch {
  const eventName = 'checkout'
  // One post's events are from the same minutes; one batch in ten is still on time.
  const batchTimeS =
    nowS - (random.chance(0.1) ? random.between(0, 3000) : random.between(2 * 3600, 48 * 3600))
  const events: EventIdentity[] = []
  const texts: string[] = []
  for (let n = 0; n < size; n++) {
    const eventId = `backlog-${number - n}`
    const eventTimeS = batchTimeS - random.between(0, 300)
    events.push({ eventName, eventId, eventTimeS })
    texts.push(makeEvent(eventName, eventId, eventTimeS))
  }
  const payload = joinEvents(texts)
  return {
    adAccountId,
    isTest: false,
    payload,
    events: events.map(postedAs),
    keys: dedupeKeys({ adAccountId, isTest: false }, events),
    receivedAtMs: Date.now(),
  }
}

/** As the relay prepares them: some 800 bytes. */
function makeEvent(eventName: string, eventId: string, eventTimeS: number): string {
  const hashed = (text: string) => [hash('sha256', `${text} ${eventId}`, 'hex')]
  return JSON.stringify({
    event_name: eventName,
    action_source: 'web',
    event_time: eventTimeS,
    event_id: eventId,
    event_source_url: 'https://shop.example/checkout/thanks?step=3',
    user_data: {
      em: hashed('em'),
      ph: hashed('ph'),
      fn: hashed('fn'),
      ln: hashed('ln'),
      external_id: hashed('id'),
      client_ip_address: '203.0.113.7',
      client_user_agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15',
    },
    custom_data: {
      currency: 'USD',
      value: '72.39',
      order_id: `order ${eventId}`,
      content_ids: ['sku-1', 'sku-2'],
    },
  })
}
