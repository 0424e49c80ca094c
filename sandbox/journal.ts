/**
 * The calls that were received, newest last, bounded by their number and by the size of their bodies: past
 * either bound the oldest call is dropped. Bodies stay bytes until somebody reads them, since parsed events that nobody
 * reads would keep the garbage collector busy. Never holds a whole token. With `maxCalls: 0` it keeps nothing.
 */
import type { Fault } from './faults.ts'
import { findEvents } from './read-call.ts'

export interface JournalEntry {
  /** Milliseconds, on the sandbox's clock. */
  readonly at: number
  readonly adAccountId: string
  readonly isTest: boolean
  /** Absent when the call was reset or left hanging. */
  readonly status?: number
  /** The fault that was played on this call. */
  readonly fault?: Fault['kind']
  readonly userAgent: string
  readonly tokenLast4: string
  /** How many events it held; absent when the body was no call's or was not read. */
  readonly eventCount?: number
  /** How many of them were recorded as conversions. */
  readonly recorded: number
  /** When the whole answer had been handed to the network; absent before, and when it never was. */
  answeredAt?: number
  /** As they came, also if they were refused; absent when bodies are not kept or the body was no call's. */
  readonly events?: readonly unknown[]
}

export interface JournalFilter {
  readonly adAccountId?: string
  /** Only calls at or after this time. */
  readonly since?: number
  /** Only the newest so many. */
  readonly limit?: number
}

export interface Journal {
  /** Keeps the entry itself, so that its answer's time can be noted later. */
  add(entry: Omit<JournalEntry, 'events'>, body?: Buffer): void
  calls(filter?: JournalFilter): readonly JournalEntry[]
  clear(): void
}

export interface JournalOptions {
  readonly maxCalls: number
  /** Of the bodies together; the newest call is kept in any case. */
  readonly maxBytes: number
  readonly keepsEvents: boolean
}

export function createJournal({ maxCalls, maxBytes, keepsEvents }: JournalOptions): Journal {
  const pages: (Page | undefined)[] = []
  // Pages before this one were dropped; the array is cut now and then, since a shift per call would be slow.
  let first = 0
  let sizeBytes = 0

  function dropOldest(): void {
    sizeBytes -= sizeOf(pages[first])
    pages[first] = undefined
    first += 1
    if (first >= CUT_EVERY) {
      pages.splice(0, first)
      first = 0
    }
  }

  return {
    add(entry, body) {
      if (maxCalls === 0) return
      const page: Page = { entry, ...(keepsEvents && body !== undefined && { body: detach(body) }) }
      pages.push(page)
      sizeBytes += sizeOf(page)
      while (pages.length - first > maxCalls || (sizeBytes > maxBytes && pages.length - first > 1))
        dropOldest()
    },
    calls({ adAccountId, since = Number.NEGATIVE_INFINITY, limit = Number.POSITIVE_INFINITY } = {}) {
      const kept = pages
        .filter((page) => page !== undefined)
        .filter(
          ({ entry }) =>
            entry.at >= since && (adAccountId === undefined || entry.adAccountId === adAccountId),
        )
      return kept.slice(Math.max(kept.length - limit, 0)).map(open)
    },
    clear() {
      pages.length = 0
      first = 0
      sizeBytes = 0
    },
  }
}

const CUT_EVERY = 1024

interface Page {
  readonly entry: JournalEntry
  readonly body?: Buffer
  /** Once somebody read them. */
  events?: readonly unknown[] | undefined
}

/** A small body is a view of the whole 64 KiB that the socket was read into, and would keep all of them. */
function detach(body: Buffer): Buffer {
  return body.buffer.byteLength > 2 * body.length ? Buffer.from(body) : body
}

function sizeOf(page: Page | undefined): number {
  return page?.body?.length ?? 0
}

function open(page: Page): JournalEntry {
  if (page.body === undefined) return page.entry
  page.events ??= parseEvents(page.body)
  return page.events === undefined ? page.entry : { ...page.entry, events: page.events }
}

function parseEvents(body: Buffer): readonly unknown[] | undefined {
  try {
    return findEvents(JSON.parse(body.toString('utf8')))
  } catch {
    return undefined
  }
}
