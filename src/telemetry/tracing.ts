/**
 * What the relay tells a tracer, and the tracer that nobody listens to. The rest of the relay knows only this: the SDK is
 * loaded when there is somewhere to send spans to (otel.ts), and costs nothing otherwise.
 *
 * A post is a server span with its stages under it. A call carries batches of many posts: it is a client span under the first
 * of them that still waits, and linked to the others. Attributes are allow-listed here: no address, no query, nothing
 * of a customer.
 */
export interface PostTrace {
  /** A stage that has ended; each begins where the one before ended. */
  stage(name: 'prepare' | 'commit', durationMs: number): void
  /** Once; later ones change nothing. */
  end(result: PostResult): void
}

export interface PostResult {
  readonly status: number
  /** Of the relay's own errors. */
  readonly code: string | undefined
  readonly events: number | undefined
}

export interface CallTrace {
  end(result: { readonly status: number | undefined; readonly outcome: string }): void
}

export interface PostStart {
  /** With its parameters in braces. */
  readonly route: string
  readonly adAccountId: string
  readonly isTest: boolean
  /** As the client sent it, or not. */
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
  /** Of the post so far, when its span begins. */
  readonly elapsedMs: number
}

export interface CallStart {
  readonly adAccountId: string
  readonly isTest: boolean
  readonly events: number
  /** Of the posts whose events the call carries, as far as they are known; asked only when somebody listens. */
  readonly posts: () => readonly PostTrace[]
}

export interface Tracing {
  beginPost(start: PostStart): PostTrace
  beginCall(start: CallStart): CallTrace
  /** Sends what is left, within `patienceMs`. */
  close(patienceMs: number): Promise<void>
}

const nothing = () => {}
/** Of a post that nobody traces, and of batches whose post is long gone. */
export const NO_POST_TRACE: PostTrace = { stage: nothing, end: nothing }
const NO_CALL_TRACE: CallTrace = { end: nothing }

export const NO_TRACING: Tracing = {
  beginPost: () => NO_POST_TRACE,
  beginCall: () => NO_CALL_TRACE,
  close: async () => {},
}
