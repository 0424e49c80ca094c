/**
 * A small typed client for the relay. It speaks Pinterest's own path, body and answers, so it works against Pinterest
 * as well; method names are those of Pinterest's SDKs. No dependency but `fetch`. Customer data may be raw, the relay
 * normalizes and hashes it. What fails for now (no answer, 408, 429, 5xx) is tried again with growing pauses; an event without
 * an id and an order id gets an id first, so that it stays the same event. Every answer but 2xx that is left is thrown as
 * an `ApiError`; what `fetch` throws when there is no answer (`TypeError`, `TimeoutError`) is passed on as it is.
 */
import { planRetry, type RetryOptions } from './retry.ts'

/** One value, several, or none. */
export type Identifiers = string | number | null | undefined | readonly (string | number | null)[]

/** Raw or already hashed with SHA-256. Pinterest needs `em`, `hashed_maids`, or IP address and user agent together. */
export interface UserData {
  readonly em?: Identifiers
  readonly ph?: Identifiers
  readonly ge?: Identifiers
  readonly db?: Identifiers
  readonly ln?: Identifiers
  readonly fn?: Identifiers
  readonly ct?: Identifiers
  readonly st?: Identifiers
  readonly zp?: Identifiers
  readonly country?: Identifiers
  readonly external_id?: Identifiers
  readonly hashed_maids?: Identifiers
  readonly client_ip_address?: string | null | undefined
  readonly client_user_agent?: string | null | undefined
  readonly click_id?: string | null | undefined
  readonly partner_id?: string | null | undefined
}

export interface Content {
  readonly id?: Scalar
  readonly item_name?: Scalar
  readonly item_category?: Scalar
  readonly item_brand?: Scalar
  readonly item_price?: Scalar
  readonly quantity?: Scalar
}

export interface CustomData {
  readonly value?: Scalar
  readonly currency?: Scalar
  readonly order_id?: Scalar
  readonly num_items?: Scalar
  readonly contents?: readonly Content[] | null | undefined
  readonly content_ids?: readonly (string | number)[] | null | undefined
  readonly content_name?: Scalar
  readonly content_category?: Scalar
  readonly content_brand?: Scalar
  readonly search_string?: Scalar
  readonly predicted_ltv?: Scalar
  readonly opt_out_type?: Scalar
  readonly external_measurement_id?: Scalar
  readonly external_measurement_vendor_id?: Scalar
  readonly np?: Scalar
}

export type ActionSource = 'app_android' | 'app_ios' | 'web' | 'offline'

/** Pinterest's names; advertisers may define more. */
export type EventName =
  | 'add_payment_info'
  | 'add_to_cart'
  | 'add_to_wishlist'
  | 'app_install'
  | 'checkout'
  | 'custom'
  | 'initiate_checkout'
  | 'lead'
  | 'page_visit'
  | 'search'
  | 'signup'
  | 'subscribe'
  | 'view_category'
  | 'view_content'
  | 'watch_video'
  // Keeps completion for the names above while any other is allowed.
  | (string & {})

/** A conversion event as a storefront may write it. */
export interface ConversionEvent {
  readonly event_name: EventName
  readonly action_source: ActionSource
  /** Seconds since the epoch; the relay also takes milliseconds and ISO 8601. */
  readonly event_time: number | string
  /** The same as in the browser's tag, so that Pinterest counts the two once. Derived from `order_id` if absent. */
  readonly event_id?: string | number | null | undefined
  readonly user_data: UserData
  readonly custom_data?: CustomData | null | undefined
  readonly event_source_url?: string | null | undefined
  readonly opt_out?: boolean | null | undefined
  readonly partner_name?: string | null | undefined
  readonly language?: string | null | undefined
  readonly app_id?: Scalar
  readonly app_name?: string | null | undefined
  readonly app_version?: Scalar
  readonly app_info?: Readonly<Record<string, Scalar>> | null | undefined
  readonly device_brand?: string | null | undefined
  readonly device_carrier?: string | null | undefined
  readonly device_model?: string | null | undefined
  readonly device_type?: string | null | undefined
  readonly device_info?: Readonly<Record<string, Scalar | readonly string[]>> | null | undefined
  readonly os_version?: Scalar
  readonly wifi?: boolean | null | undefined
}

export interface EventResult {
  readonly status: 'processed' | 'failed'
  readonly error_message?: string | null
  readonly warning_message?: string | null
}

/** One entry per event, in the order in which they were posted. */
export interface ConversionApiResponse {
  readonly num_events_received: number
  readonly num_events_processed: number
  readonly events: readonly EventResult[]
}

export interface EventsCreateOptions {
  /** Check the events without recording them. */
  readonly test?: boolean
  /** RFC 7240: answer once the events are stored, or wait up to so many seconds for Pinterest's outcome. */
  readonly prefer?: 'respond-async' | `wait=${number}`
}

export interface HttpInfo<Data> {
  readonly data: Data
  readonly status: number
  readonly headers: Headers
  /** How many of the events the relay has on disk and Pinterest has not yet confirmed (the header `Relay-Queued`). */
  readonly queued: number
}

export interface Client {
  eventsCreate(
    adAccountId: string,
    body: { readonly data: readonly ConversionEvent[] },
    options?: EventsCreateOptions,
  ): Promise<ConversionApiResponse>
  /** The same with the answer's status and headers, and how many events are queued. */
  eventsCreateWithHttpInfo(
    adAccountId: string,
    body: { readonly data: readonly ConversionEvent[] },
    options?: EventsCreateOptions,
  ): Promise<HttpInfo<ConversionApiResponse>>
}

export interface ClientOptions {
  /** For example `http://127.0.0.1:8080/v5`. */
  readonly baseUrl: string
  /** A relay key, or Pinterest's own token when posting to Pinterest. */
  readonly accessToken: string
  readonly fetch?: typeof fetch
  /** For one try. Longer than the relay may wait for the outcome. */
  readonly timeoutMs?: number
  /** Default: 5 tries within 60 s. */
  readonly retry?: Partial<RetryOptions>
  /** Tests set time and chance by hand. */
  readonly sleep?: (delayMs: number) => Promise<void>
  readonly random?: () => number
}

/** Pinterest's form of an error. */
export interface ApiErrorBody {
  readonly code: number
  readonly message: string
  /** With 422: what became of each event. */
  readonly details?: unknown
}

/** An answer other than 2xx, or a 2xx that cannot be read. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  /** Absent when the answer was not Pinterest's form of an error, for example a gateway's page. */
  readonly body: ApiErrorBody | undefined
  readonly headers: Headers
  /** From the Retry-After header, given there in seconds or as a date. */
  readonly retryAfterMs: number | undefined

  constructor(status: number, headers: Headers, body: ApiErrorBody | undefined, options?: ErrorOptions) {
    super(`HTTP ${status}: ${body?.message ?? 'the answer cannot be read'}${reasonsOf(body)}`, options)
    this.status = status
    this.headers = headers
    this.body = body
    this.retryAfterMs = readRetryAfterMs(headers)
  }
}

const REASONS_SHOWN = 5

/** Of 422: ` (event 1: action_source: is missing)`. The relay's reasons name fields, never their values. */
function reasonsOf(body: ApiErrorBody | undefined): string {
  if (!isConversionApiResponse(body?.details)) return ''
  const failed = body.details.events.flatMap(({ status, error_message: reason }, index) =>
    status === 'failed' ? [`event ${index}: ${reason || 'no reason was given'}`] : [],
  )
  const more = failed.length - REASONS_SHOWN
  const shown = [...failed.slice(0, REASONS_SHOWN), ...(more > 0 ? [`and ${more} more`] : [])]
  return shown.length === 0 ? '' : ` (${shown.join('; ')})`
}

export function createClient(options: ClientOptions): Client {
  const { accessToken, fetch: send = globalThis.fetch, timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const { sleep = waitFor, random = Math.random } = options
  const retry = { ...DEFAULT_RETRY, ...options.retry }
  const baseUrl = options.baseUrl.replace(/\/+$/, '')

  /** One try. */
  async function post(
    adAccountId: string,
    body: string,
    { test, prefer }: EventsCreateOptions,
  ): Promise<HttpInfo<ConversionApiResponse>> {
    const query = test === undefined ? '' : `?test=${test}`
    const response = await send(`${baseUrl}/ad_accounts/${encodeURIComponent(adAccountId)}/events${query}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${accessToken}`,
        'content-type': 'application/json',
        ...(prefer !== undefined && { prefer }),
      },
      body,
      // A redirect would carry the token and the customers' data to an address that nobody chose.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    // Read in any case: a body left unread keeps its connection from being used again.
    const answer = parseJson(await response.text())
    const { status, headers } = response
    if (!response.ok) throw new ApiError(status, headers, isErrorBody(answer) ? answer : undefined)
    if (!isConversionApiResponse(answer)) throw new ApiError(status, headers, undefined)
    return { data: answer, status, headers, queued: Number(headers.get('relay-queued')) }
  }

  const eventsCreateWithHttpInfo: Client['eventsCreateWithHttpInfo'] = async (
    adAccountId,
    { data },
    eventOptions = {},
  ) => {
    // Once, before the first try: every try posts the same bytes.
    const body = JSON.stringify({ data: data.map(withId) })
    const startedMs = performance.now()
    for (let tried = 1; ; tried++) {
      try {
        return await post(adAccountId, body, eventOptions)
      } catch (error) {
        const answer = error instanceof ApiError ? error : undefined
        const delayMs = planRetry(
          {
            status: answer?.status,
            retryAfterMs: answer?.retryAfterMs,
            tried,
            elapsedMs: performance.now() - startedMs,
            random: random(),
          },
          retry,
        )
        if (delayMs === undefined) throw error
        await sleep(delayMs)
      }
    }
  }

  return {
    eventsCreateWithHttpInfo,
    async eventsCreate(adAccountId, body, options) {
      return (await eventsCreateWithHttpInfo(adAccountId, body, options)).data
    },
  }
}

type Scalar = string | number | null | undefined

const DEFAULT_RETRY: RetryOptions = { tries: 5, patienceMs: 60_000 }

function waitFor(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs)
  })
}

/** The relay derives an id from the order id, always the same; what has neither would be another event with each try. */
function withId(event: ConversionEvent): ConversionEvent {
  const hasId = [event.event_id, event.custom_data?.order_id].some(
    (id) => id !== undefined && id !== null && String(id).trim() !== '',
  )
  return hasId ? event : { ...event, event_id: globalThis.crypto.randomUUID() }
}

/** The relay waits 30 s at most for Pinterest's outcome. */
const DEFAULT_TIMEOUT_MS = 35_000

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isErrorBody(value: unknown): value is ApiErrorBody {
  return (
    typeof value === 'object' &&
    value !== null &&
    'code' in value &&
    typeof value.code === 'number' &&
    'message' in value &&
    typeof value.message === 'string'
  )
}

function isConversionApiResponse(value: unknown): value is ConversionApiResponse {
  return typeof value === 'object' && value !== null && 'events' in value && Array.isArray(value.events)
}

/** A date counts from the answer's own Date, so that a wrong clock on this machine does no harm. */
function readRetryAfterMs(headers: Headers): number | undefined {
  const value = headers.get('retry-after')?.trim()
  if (value === undefined || value === '') return undefined
  if (/^\d+$/.test(value)) return Number(value) * 1000
  // Without a letter it is no HTTP date, though Date.parse finds one in almost anything.
  const untilMs = /[a-z]/i.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isNaN(untilMs)) return undefined
  const answeredMs = Date.parse(headers.get('date') ?? '')
  return Math.max(untilMs - (Number.isNaN(answeredMs) ? Date.now() : answeredMs), 0)
}
