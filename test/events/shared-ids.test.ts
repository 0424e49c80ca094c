import t from 'tap'
import { prepareEvent } from '../../src/events/prepare.ts'
import { warnOfSharedIds } from '../../src/events/shared-ids.ts'
import { LIVE, PLAIN } from './raw-events.ts'

const browser = { client_ip_address: '203.0.113.7', client_user_agent: 'Mozilla/5.0 (X11; Linux x86_64)' }
const event = (userData: object, fields: object = {}) =>
  prepareEvent({ ...PLAIN, event_id: 'cached-17', ...fields, user_data: { ...browser, ...userData } }, LIVE)
const anna = { em: 'anna.lind@shop.example' }
const bea = { em: 'bea.roth@shop.example' }

/** Which of the events carry the warning. */
const warned = (events: readonly ReturnType<typeof event>[]) =>
  warnOfSharedIds(events).map(({ warnings }) => warnings.some(({ code }) => code === 'event_id_shared'))

t.test('one event id with different customers is told, on all but the first', async (t) => {
  t.same(warned([event(anna), event(bea), event(anna), event({ em: 'cem@shop.example' })]), [
    false,
    true,
    false,
    true,
  ])
  t.same(warned([event({ external_id: 'c-1' }), event({ external_id: 'c-2' })]), [false, true])
  t.same(warned([event({ ph: '+14155552671' }), event({ ph: '+14155552672' })]), [false, true])
})

t.test('one customer twice is a duplicate, and nothing else', async (t) => {
  t.same(warned([event(anna), event(anna)]), [false, false])
  t.same(warned([event(anna), event({ ...anna, external_id: 'c-1' })]), [false, false])
  t.same(warned([event({ em: [anna.em, bea.em] }), event(bea)]), [false, false])
  t.same(warned([event({ ...anna, external_id: 'c-1' }), event({ ...anna, external_id: 'c-2' })]), [
    false,
    false,
  ])
  // What they have is not comparable.
  t.same(warned([event(anna), event({ external_id: 'c-1' }), event({})]), [false, false, false])
})

t.test('another name, another id or an invalid event is none of it', async (t) => {
  t.same(warned([event(anna), event(bea, { event_name: 'lead' }), event(bea, { event_id: 'b' })]), [
    false,
    false,
    false,
  ])
  const invalid = event(bea, { event_time: 'now' })
  t.same(warned([event(anna), invalid]), [false, false])
  const alone = [event(anna)]
  t.equal(warnOfSharedIds(alone), alone)
})
