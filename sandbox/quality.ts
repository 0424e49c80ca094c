/**
 * `GET /v5/ad_accounts/{id}/conversion_eqs`: an Event Quality Score out of what the sandbox recorded of the account. The
 * coverages are counted; the overall status is a guess of the sandbox's own, since Pinterest does not say how it comes to
 * its. Counting costs a call little and is bounded: a fixed number of events per account is read.
 */
import { answerError, answerJson } from './answer.ts'
import type { Answer } from './answer.ts'
import type { PinterestEvent } from './schema.ts'

export interface Quality {
  record(adAccountId: string, event: PinterestEvent): void
  answer(adAccountId: string, query: URLSearchParams): Answer
}

const EVENTS_COUNTED = 10_000
const NAMES_COUNTED = 100
const LOOKBACK_PERIODS = ['1d', '14d']
const SOURCE_PLATFORMS = [
  'WEB',
  'MOBILE',
  'MOBILE_ANDROID',
  'MOBILE_IOS',
  'OFFLINE',
  'PINTEREST_WEB',
  'PINTEREST_ANDROID',
  'PINTEREST_IOS',
  'POINT_OF_SALE',
]
const INGESTION_SOURCES = ['TAG', 'MMP', 'FILE_UPLOAD', 'CONVERSIONS_API', 'NATIVE']

/** Pinterest's names for its components, and whether an event has what they are about. */
const COMPONENTS: Readonly<Record<string, (event: PinterestEvent) => boolean>> = {
  hashed_email: ({ user_data }) => has(user_data, 'em'),
  advertiser_external_id: ({ user_data }) => has(user_data, 'external_id'),
  click_id_epik: ({ user_data }) => has(user_data, 'click_id'),
  hashed_maid: ({ user_data }) => has(user_data, 'hashed_maids'),
  ip_address: ({ user_data }) => has(user_data, 'client_ip_address'),
  user_agent: ({ user_data }) => has(user_data, 'client_user_agent'),
  order_id: ({ custom_data }) => has(custom_data, 'order_id'),
  order_value: ({ custom_data }) => has(custom_data, 'value'),
  product_id: ({ custom_data }) => has(custom_data, 'content_ids'),
  source_url: (event) => has(event, 'event_source_url'),
  external_event_id: (event) => has(event, 'event_id'),
}

interface Counts {
  events: number
  readonly having: Record<string, number>
}

export function createQuality(): Quality {
  const accounts = new Map<string, { left: number; readonly names: Map<string, Counts> }>()

  function componentsOf(names: ReadonlyMap<string, Counts>): object {
    const entries = Object.keys(COMPONENTS).map((component) => {
      const details = [...names].map(([name, { events, having }]) => {
        const coverage = Math.round(((having[component] ?? 0) / events) * 1000) / 10
        const issue = {
          id: `low_${component}`,
          name: 'Low coverage',
          reason: `Few events have ${component}.`,
        }
        return [name, { coverage, ...(coverage < 50 && { issues: [issue] }) }]
      })
      return [component, Object.fromEntries(details) as object]
    })
    return Object.fromEntries(entries) as object
  }

  return {
    record(adAccountId, event) {
      let account = accounts.get(adAccountId)
      if (account === undefined) {
        accounts.set(adAccountId, (account = { left: EVENTS_COUNTED, names: new Map() }))
      }
      if (account.left === 0) return
      account.left -= 1
      let counts = account.names.get(event.event_name)
      if (counts === undefined) {
        if (account.names.size >= NAMES_COUNTED) return
        account.names.set(event.event_name, (counts = { events: 0, having: {} }))
      }
      counts.events += 1
      for (const component in COMPONENTS) {
        if (COMPONENTS[component]!(event)) counts.having[component] = (counts.having[component] ?? 0) + 1
      }
    },

    answer(adAccountId, query) {
      const lookback = query.get('lookback_period')
      const platform = query.get('source_platform')
      const source = query.get('ingestion_source')
      if (lookback === null) return answerError(400, "'lookback_period' is a required parameter")
      if (!LOOKBACK_PERIODS.includes(lookback))
        return answerError(400, "'lookback_period' is not one of 1d, 14d")
      if (platform !== null && !SOURCE_PLATFORMS.includes(platform)) {
        return answerError(400, "'source_platform' is unknown")
      }
      if (source !== null && !INGESTION_SOURCES.includes(source)) {
        return answerError(400, "'ingestion_source' is unknown")
      }
      const account = accounts.get(adAccountId)
      const isOther = (platform ?? 'WEB') !== 'WEB' || (source ?? 'CONVERSIONS_API') !== 'CONVERSIONS_API'
      if (account === undefined || isOther) return answerJson(200, [])
      const emails = [...account.names.values()].map(
        ({ events, having }) => (having['hashed_email'] ?? 0) / events,
      )
      const lowest = Math.min(...emails)
      return answerJson(200, [
        {
          overall_status: lowest >= 0.8 ? 'GOOD' : lowest >= 0.5 ? 'FAIR' : 'NEEDS_IMPROVEMENT',
          quality_components: componentsOf(account.names),
          ingestion_source: 'CONVERSIONS_API',
          source_platform: 'WEB',
          lookback_period: lookback,
        },
      ])
    },
  }
}

function has(part: object | null | undefined, name: string): boolean {
  const value = part === null || part === undefined ? undefined : (part as Record<string, unknown>)[name]
  return (
    value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0)
  )
}
