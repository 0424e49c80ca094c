/**
 * The last webhooks of each source and their outcomes, for whoever connects a shop. In memory and of
 * this process alone; the events are in the store. Never a value of a payload.
 */
export interface WebhookEntry {
  readonly atMs: number
  /** Undefined where it is not known, or came unsigned. */
  readonly topic: string | undefined
  readonly deliveryId: string | undefined
  /** A word of an event's outcome, or `refused`, or `ping`. */
  outcome: string
  /** A stable word, or a sentence that names fields. */
  reason: string | undefined
  readonly events: number
  /**
   * No event could be made of it: the shop got its 2xx, and nothing was kept. Undefined where it says nothing of the source: it was
   * filtered, refused or a ping, or its order names no customer.
   */
  readonly isLost: boolean | undefined
}

export type WebhookLog = ReturnType<typeof createWebhookLog>

const KEPT = 20
/** Unsigned requests must not displace those of the shop. */
const KEPT_UNSIGNED = 10
/** The form of shops' topics; anything else is not shown. */
const NAME = /^[\w./:-]{1,100}$/

export function createWebhookLog() {
  const entries = new Map<string, WebhookEntry[]>()
  return {
    /** Answers the entry, which may change later, when its outcome is known. */
    note(sourceId: string, entry: WebhookEntry): WebhookEntry {
      const own = entries.get(sourceId) ?? []
      entries.set(sourceId, own)
      own.unshift(entry)
      if (own.length > KEPT) own.splice(oldestToForget(own), 1)
      return entry
    },
    /** Newest first. */
    of: (sourceId: string): readonly WebhookEntry[] => entries.get(sourceId) ?? [],
  }
}

function oldestToForget(own: readonly WebhookEntry[]): number {
  const isUnsigned = ({ outcome }: WebhookEntry) => outcome === 'refused' || outcome === 'ping'
  return own.filter(isUnsigned).length > KEPT_UNSIGNED ? own.findLastIndex(isUnsigned) : own.length - 1
}

export function shownName(name: string | undefined): string | undefined {
  return name !== undefined && NAME.test(name) ? name : undefined
}
