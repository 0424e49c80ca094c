/** Plain good events, for scenes in which their content does not matter. */
import type { Json } from './order.ts'

export function sampleEvent(eventId: string, more: Json = {}): Json {
  return {
    event_name: 'checkout',
    action_source: 'web',
    event_time: Math.floor(Date.now() / 1000),
    event_id: eventId,
    user_data: { em: `${eventId}@example.com`, country: 'United States' },
    custom_data: { value: '19.90', currency: 'USD' },
    ...more,
  }
}
