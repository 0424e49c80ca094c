/** A source as it comes, and what its webhooks become. */
import type { PrepareContext } from '../../src/events/prepare.ts'
import { mapWebhook } from '../../src/sources/map.ts'
import { defaultOptions, type Mapped, type SourceOptions } from '../../src/sources/source.ts'
import { shopifyHeaders, wooHeaders } from '../support/shop-payloads.ts'

export const NOW = new Date('2026-11-27T10:00:00Z')
export const NOW_S = NOW.getTime() / 1000
const DAY_MS = 86_400_000

export const OPTIONS = defaultOptions('shopify')

/** Of a relay that takes what comes. */
export const CONTEXT: PrepareContext = {
  nowMs: NOW.getTime(),
  accountCountry: undefined,
  dobFormat: undefined,
  maxEventAgeMs: 6e8,
  isTest: false,
  bots: 'send',
}

export function map(
  payload: unknown,
  topic: string,
  options: Partial<SourceOptions> = {},
  oldestMs = NOW.getTime() - DAY_MS,
): Mapped {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const all = { ...OPTIONS, ...options }
  const headers = (all.kind === 'shopify' ? shopifyHeaders : wooHeaders)('s', body, topic)
  return run(mapWebhook({ options: all, secrets: [], headers, oldestMs }, Buffer.from(body)))
}

export function run(steps: Generator<void, Mapped>): Mapped {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

interface MappedEvent {
  readonly [field: string]: unknown
  readonly user_data: Readonly<Record<string, unknown>>
  readonly custom_data: {
    readonly [field: string]: unknown
    readonly content_ids: readonly string[]
    readonly contents: readonly { readonly item_price?: unknown }[]
  }
}

/** The one event that it becomes. */
export function eventOf(mapped: Mapped): MappedEvent {
  if (mapped.status !== 'mapped') throw new Error(JSON.stringify(mapped))
  return JSON.parse(JSON.stringify(mapped.events[0])) as MappedEvent
}
