/** Events as storefronts post them, for tests. */
import type { ConversionEvent } from '../../client/src/index.ts'

let counter = 0

/** A good raw event with an id of its own, on time. */
export function rawEvent(overrides: Partial<ConversionEvent> = {}): ConversionEvent {
  counter += 1
  return {
    event_name: 'checkout',
    action_source: 'web',
    event_time: Math.floor(Date.now() / 1000),
    event_id: `event-${process.pid}-${counter}`,
    user_data: {
      em: 'person@example.com',
      client_ip_address: '203.0.113.7',
      client_user_agent: 'Mozilla/5.0 (X11; Linux x86_64)',
    },
    custom_data: { currency: 'USD', value: '72.39' },
    ...overrides,
  }
}
