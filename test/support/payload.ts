import type { EventIdentity } from '../../src/store/store.ts'
import type { PostedEvent } from '../../src/store/trail.ts'
import { EVENT_SEPARATOR } from '../../src/store/payload.ts'

/** A batch's payload, as the relay's own `createJoin` makes it. */
export function joinEvents(events: readonly string[]): Uint8Array {
  return Buffer.from(events.join(EVENT_SEPARATOR))
}

/** As a prepared event. */
export function postedAs({ eventName, eventId, eventTimeS }: EventIdentity): PostedEvent {
  const trailIds = { eventId, orderId: undefined }
  return { eventName, trailIds, eventTimeS, status: 'prepared', warnings: [] }
}
