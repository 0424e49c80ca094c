/**
 * One value for each stream: an account and an event name. Event names may be a storefront's own text, so their number is
 * bounded: some names an account are distinguished, and some thousand streams in all. Names that Pinterest does not know take
 * no more than half of them. Idle streams make room.
 */
import { isKnownEventName } from '../events/event-name.ts'

/** The name of all beyond the bound, and of events without a readable name. */
export const OTHER = '(other)'
const MOST_STREAMS = 5000
const MOST_EVENT_NAMES = 50

/** `dropIdle` is for the caller to call as time passes: a full table takes no stream before. */
export function createStreams<S>(create: () => S, isIdle: (stream: S) => boolean) {
  const accounts = new Map<string, Map<string, S>>()
  let count = 0

  function dropIdle(): void {
    for (const [adAccountId, own] of accounts) {
      for (const [name, stream] of own) {
        if (!isIdle(stream)) continue
        own.delete(name)
        count -= 1
      }
      if (own.size === 0) accounts.delete(adAccountId)
    }
  }

  return {
    /** Undefined when there is no room for one more. */
    of(adAccountId: string, eventName: string | undefined): S | undefined {
      const own = accounts.get(adAccountId)
      const wanted = eventName || OTHER
      const name = own === undefined || own.has(wanted) || own.size < MOST_EVENT_NAMES ? wanted : OTHER
      const known = own?.get(name)
      if (known !== undefined) return known
      const most = isKnownEventName(name) ? MOST_STREAMS : MOST_STREAMS / 2
      if (count >= most) return undefined
      count += 1
      const stream = create()
      if (own === undefined) accounts.set(adAccountId, new Map([[name, stream]]))
      else own.set(name, stream)
      return stream
    },
    /** Of one account, or of all. */
    list: (adAccountId?: string) =>
      [...accounts]
        .filter(([id]) => adAccountId === undefined || id === adAccountId)
        .flatMap(([id, own]) => Array.from(own, ([name, stream]) => [id, name, stream] as const)),
    dropIdle,
    forget(adAccountId: string): void {
      count -= accounts.get(adAccountId)?.size ?? 0
      accounts.delete(adAccountId)
    },
  }
}
