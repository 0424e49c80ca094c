/**
 * Spans by OpenTelemetry's own SDK, sent over OTLP/HTTP in the background. A collector that is away costs spans, and neither
 * posts nor an orderly end; it is logged once until it is back. Loaded only when OTEL_EXPORTER_OTLP_ENDPOINT is set; the
 * SDK itself reads the other OTEL_ variables (headers, sampler, batch sizes).
 *
 * A post is a server span with its stages under it. A call carries batches of many posts: it is a client span under the first
 * of them that still waits, and linked to the others. Attributes are allow-listed here: no address, no query, nothing
 * of a customer.
 */
import type { IncomingHttpHeaders } from 'node:http'
import {
  defaultTextMapGetter,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Span,
  type Tracer,
} from '@opentelemetry/api'
import { ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base'
import { orAfter, systemClock } from '../clock.ts'
import type { Log } from './log.ts'

export interface TracingOptions {
  /** OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly endpoint: string
  readonly settings: { readonly OTEL_SERVICE_NAME: string }
  readonly version: string
  readonly log: Log
}

export type Tracing = ReturnType<typeof createTracing>
export type PostTrace = NonNullable<ReturnType<typeof beginPost>>

/** A queue's account, and whether it is the one of test events. */
interface Queue {
  readonly adAccountId: string
  readonly isTest: boolean
}

export interface PostStart {
  /** Its path, with parameters in braces. */
  readonly route: string
  readonly queue: Queue
  readonly headers: IncomingHttpHeaders
  /** How long ago the post came. */
  readonly elapsedMs: number
}

/** A call of a thousand single-event posts need not name each of them. */
const MOST_LINKS = 32
const SEND_TIMEOUT_MS = 5000
const CALL_ROUTE = '/v5/ad_accounts/{ad_account_id}/events'

const PROPAGATOR = new W3CTraceContextPropagator()

export function createTracing({ endpoint, settings, version, log }: TracingOptions) {
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`
  const exporter = withWarning(new OTLPTraceExporter({ url, timeoutMillis: SEND_TIMEOUT_MS }), log)
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      'service.name': settings.OTEL_SERVICE_NAME,
      'service.version': version,
    }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  })
  const tracer = provider.getTracer('pinrelay', version)

  return {
    beginPost: (start: PostStart) => beginPost(tracer, start),

    /** `posts`: of the events that the call carries, as far as they are known. Answers how to end it. */
    beginCall(queue: Queue, events: number, posts: ReadonlySet<PostTrace>) {
      const spans = Array.from(posts, ({ span }) => span)
      // A span that has ended cannot be a parent.
      const parent = spans.find((span) => span.isRecording())
      const others = spans.filter((span) => span !== parent).slice(0, MOST_LINKS)
      const span = tracer.startSpan(
        `POST ${CALL_ROUTE}`,
        {
          kind: SpanKind.CLIENT,
          links: others.map((other) => ({ context: other.spanContext() })),
          attributes: {
            'http.request.method': 'POST',
            'url.template': CALL_ROUTE,
            'pinrelay.events': events,
            ...attributesOf(queue),
          },
        },
        parent === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, parent),
      )
      return (status: number | undefined, outcome: string): void => {
        span.setAttribute('pinrelay.outcome', outcome)
        const hasFailed = status === undefined || status >= 400
        endSpan(span, status, hasFailed ? String(status ?? outcome) : undefined)
      }
    },

    /** Sends what is left, within `patienceMs`. */
    async close(patienceMs: number): Promise<void> {
      // A collector that is away rejects, which was logged before.
      const closed = provider.shutdown().catch(() => undefined)
      await orAfter(systemClock, patienceMs, closed)
    },
  }
}

/** Undefined for a post that the sender does not sample. */
function beginPost(tracer: Tracer, { route, queue, headers, elapsedMs }: PostStart) {
  const startTime = Date.now() - elapsedMs
  const attributes = { 'http.request.method': 'POST', 'http.route': route, ...attributesOf(queue) }
  const parent = PROPAGATOR.extract(ROOT_CONTEXT, headers, defaultTextMapGetter)
  const span = tracer.startSpan(`POST ${route}`, { kind: SpanKind.SERVER, startTime, attributes }, parent)
  if (!span.isRecording()) return undefined
  const within = trace.setSpan(ROOT_CONTEXT, span)
  let stageEndedAtMs = Date.now()
  return {
    span,
    /** A stage that has ended; each begins where the one before ended. */
    stage(name: 'prepare' | 'commit', durationMs: number): void {
      const startTime = stageEndedAtMs
      stageEndedAtMs = startTime + durationMs
      tracer.startSpan(name, { kind: SpanKind.INTERNAL, startTime }, within).end(stageEndedAtMs)
    },
    /** Once; later ones change nothing. `code`: of the relay's own errors. */
    end(status: number, code: string | undefined, events: number | undefined): void {
      if (events !== undefined) span.setAttribute('pinrelay.events', events)
      endSpan(span, status, status >= 500 ? (code ?? String(status)) : undefined)
    },
  }
}

function attributesOf({ adAccountId, isTest }: Queue) {
  return { 'pinrelay.ad_account_id': adAccountId, 'pinrelay.test': isTest }
}

function endSpan(span: Span, status: number | undefined, error: string | undefined): void {
  if (status !== undefined) span.setAttribute('http.response.status_code', status)
  if (error !== undefined) {
    span.setAttribute('error.type', error)
    span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
}

/** Logs once that spans are lost and once that they are sent again; never the address, which may hold a password. */
function withWarning(exporter: SpanExporter, log: Log): SpanExporter {
  let isFailing = false
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const hasFailed = result.code !== ExportResultCode.SUCCESS
        if (hasFailed && !isFailing) log.warn({}, 'traces cannot be sent, and are dropped')
        if (!hasFailed && isFailing) log.info({}, 'traces are sent again')
        isFailing = hasFailed
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  }
}
