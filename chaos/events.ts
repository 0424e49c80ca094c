/** Events as storefronts post them, and the three ways in which one may be no good. */
import type { Random } from '../test/support/random.ts'

/**
 * `good`; `refused`: the relay refuses it itself; `failing`: Pinterest names it in its answer; `poison`: Pinterest
 * refuses every call that holds it and does not say why.
 */
export type Kind = 'good' | 'invalid' | 'failing' | 'poison'

export interface ChaosEvent {
  readonly eventId: string
  readonly kind: Kind
  readonly json: string
}

let counter = 0

export function makeEvent(random: Random, kind: Kind = 'good'): ChaosEvent {
  counter += 1
  const eventId = `${kind}-${process.pid}-${counter}`
  // Some are late already: they are sent after the others.
  const ageS = random.chance(0.2) ? random.between(3600, 100_000) : random.between(0, 3000)
  // Seven digits would be a number of the customer's, and no id that has it is shown.
  const customer = counter % 1_000_000
  const event = {
    event_name: 'checkout',
    ...(kind !== 'invalid' && { action_source: 'web' }),
    event_time: Math.floor(Date.now() / 1000) - ageS,
    event_id: eventId,
    event_source_url: 'https://shop.example/checkout/thanks?step=3',
    user_data: {
      em: ` Customer.${customer}@Example.com `,
      ph: '+1 415 555 2671',
      client_ip_address: '203.0.113.7',
      client_user_agent: 'Mozilla/5.0 (X11; Linux x86_64)',
    },
    custom_data: { currency: 'USD', value: 72.39, order_id: `order-${counter}`, num_items: 2 },
  }
  return { eventId, kind, json: JSON.stringify(event) }
}
