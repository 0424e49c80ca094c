/** One call to Pinterest and its outcome: no retries, no decision (see delivery/decision.ts). */
export interface EventsCall {
  readonly adAccountId: string
  readonly isTest: boolean
  /** The bearer token. */
  readonly token: string
  /** The whole request body. */
  readonly body: Uint8Array
}

/** Pinterest's message about one event; `''` without one. */
export interface EventResult {
  readonly status: 'processed' | 'failed'
  readonly errorMessage: string
  readonly warningMessage: string
}

export type CallOutcome =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** Pinterest's error code, if the body had one. */
      readonly code: number | undefined
      /** Pinterest's error text, not scrubbed yet. */
      readonly message: string
      /** The header as it came. */
      readonly retryAfter: string | undefined
      /** Per-event results, if the body had them in a form that can be read; their number is not checked. */
      readonly results: readonly EventResult[] | undefined
      /** How many events it says were processed, if it does. */
      readonly processedCount: number | undefined
    }
  | Unanswered

export interface Unanswered {
  readonly kind: 'unanswered'
  /** `proxy`: it did not let the call through. Whether the request may have reached Pinterest is not known for most of these. */
  readonly reason:
    | 'timeout'
    | 'reset'
    | 'refused'
    | 'dns'
    | 'tls'
    | 'proxy'
    | 'truncated'
    | 'too_large'
    | 'other'
}
