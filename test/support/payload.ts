import { EVENT_SEPARATOR } from '../../src/store/payload.ts'

/** A batch's payload, as the relay's own `createJoin` makes it. */
export function joinEvents(events: readonly string[]): Uint8Array {
  return Buffer.from(events.join(EVENT_SEPARATOR))
}
