/** Ids of events that stand for nothing: three buyers with `event_id: "undefined"` are three purchases. */
import t from 'tap'
import { sha256Hex } from '../../src/events/hash.ts'
import { prepareWith } from './raw-events.ts'

const NOTHING = [
  'undefined', 'UNDEFINED', 'null', 'NULL', '(null)', '"null"', "'undefined'", '<null>', 'None', 'NaN', 'nil', 'n/a', 'N/A', 'NA', '-', '--', 'unknown', '(not set)',
  'not set', '[object Object]', '0', 0, '00', '00000000-0000-0000-0000-000000000000', '{{event_id}}', '{{ order.id }}', '${eventId}', '{% id %}', '*|ID|*',
  '%%eventid%%', '<%= id %>', '#{id}', '[[id]]', '', ' ', '\u200b', 'order-undefined', 'order_null', 'checkout-[object Object]', 'purchase.NaN', 'undefined-undefined',
  'null_null', 'order-{{ order.id }}', 'v2-${orderId}', '.', '#N/A', 'true', 'FALSE', false, true, 'guest', 'Guest', 'anonymous', '-1', -1, 'order-none', 'order_false', '{event_id}', '<event_id>', '#REF!',
  ...['', 'undefined', 'null', '0'].map(sha256Hex), sha256Hex('').toUpperCase(), 'd41d8cd98f00b204e9800998ecf8427e', 'DA39A3EE5E6B4B0D3255BFEF95601890AFD80709',
] // prettier-ignore
const REAL = [
  'order-1001', '1001', 17, 'e', 'abc-def', 'null-1001', 'undefined-7f3a', '00017', 'Undefinedness', 'nullable', 'ananas', '550e8400-e29b-41d4-a716-446655440000',
  'order-Ñandú', '№5', '(1001)', '100%', '-12', 'a-1', 'truest', 'guests', 'guest-a', 'no', 'false-1', sha256Hex('1001'),
] // prettier-ignore

interface Sent {
  readonly event: { readonly event_id: string; readonly custom_data?: object }
}

t.test('an event id that means nothing is derived from the order, or refused', async (t) => {
  for (const id of NOTHING) {
    const derived = prepareWith({ event_id: id, custom_data: { order_id: 'A1' } })
    t.equal((derived as unknown as Sent).event.event_id, 'order-checkout-A1', String(id))
    t.same(derived.warnings, ['event_id: event_id_derived'], String(id))
    t.match(prepareWith({ event_id: id }), { reason: 'missing_field', path: 'event_id' }, String(id))
  }
})

t.test('no id is derived from an order id that means nothing', async (t) => {
  for (const id of NOTHING) {
    t.match(
      prepareWith({ event_id: null, custom_data: { order_id: id } }),
      { reason: 'missing_field' },
      String(id),
    )
    const { event } = prepareWith({ custom_data: { order_id: id } }) as unknown as Sent
    t.equal(event.custom_data, undefined, String(id))
  }
})

t.test('any other id is sent as it is', async (t) => {
  for (const id of REAL) {
    const { event, warnings } = prepareWith({
      event_id: id,
      custom_data: { order_id: id },
    }) as unknown as Sent & {
      warnings: string[]
    }
    t.equal(event.event_id, String(id))
    t.same(event.custom_data, { order_id: String(id) })
    t.same(warnings, [])
  }
})

t.test('an order id of any length is read in time proportional to it', async (t) => {
  for (const part of ['{{', '*|', '<%', '${', '0', 'null-', '%%', 'a-']) {
    t.match(prepareWith({ custom_data: { order_id: part.repeat(100_000) } }), { status: 'prepared' }, part)
  }
})
