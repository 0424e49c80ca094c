/**
 * Spans by OpenTelemetry's own SDK, sent over OTLP/HTTP in the background. A collector that is away costs spans, and neither
 * posts nor an orderly end; it is told of once until it is back. Loaded only when OTEL_EXPORTER_OTLP_ENDPOINT is set; the
 * SDK itself reads the other OTEL_ variables (headers, sampler, batch sizes).
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Context, type Span } from '@opentelemetry/api'
import { defaultTextMapGetter } from '@opentelemetry/api'
import { ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base'
import type { Log } from './log.ts'
import { NO_POST_TRACE, type PostTrace, type Tracing } from './tracing.ts'

export interface OtelOptions {
  /** Without `/v1/traces`. */
  readonly endpoint: string
  readonly serviceName: string
  readonly version: string
  readonly log: Log
}

/** A call of a thousand single-event posts need not name each of them. */
const MOST_LINKS = 32
const SEND_TIMEOUT_MS = 5000

export function createOtelTracing({ endpoint, serviceName, version, log }: OtelOptions): Tracing {
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`
  const exporter = withWarning(new OTLPTraceExporter({ url, timeoutMillis: SEND_TIMEOUT_MS }), log)
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': version }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  })
  const tracer = provider.getTracer('pinrelay', version)
  const propagator = new W3CTraceContextPropagator()
  /** The span of each post that is traced; a post's own methods hide it from the rest of the relay. */
  const spans = new WeakMap<PostTrace, Span>()

  return {
    beginPost({ route, adAccountId, isTest, traceparent, tracestate, elapsedMs }) {
      const carrier = { ...(traceparent && { traceparent }), ...(tracestate && { tracestate }) }
      const parent = propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter)
      const span = tracer.startSpan(
        `POST ${route}`,
        {
          kind: SpanKind.SERVER,
          startTime: Date.now() - elapsedMs,
          attributes: {
            'http.request.method': 'POST',
            'http.route': route,
            'pinrelay.ad_account_id': adAccountId,
            'pinrelay.test': isTest,
          },
        },
        parent,
      )
      if (!span.isRecording()) return NO_POST_TRACE
      const within = trace.setSpan(ROOT_CONTEXT, span)
      let stageEndedAtMs = Date.now()
      const post: PostTrace = {
        stage(name, durationMs) {
          const startTime = stageEndedAtMs
          stageEndedAtMs = startTime + durationMs
          tracer.startSpan(name, { kind: SpanKind.INTERNAL, startTime }, within).end(stageEndedAtMs)
        },
        end({ status, code, events }) {
          span.setAttribute('http.response.status_code', status)
          if (events !== undefined) span.setAttribute('pinrelay.events', events)
          if (status >= 500) {
            span.setAttribute('error.type', code ?? String(status))
            span.setStatus({ code: SpanStatusCode.ERROR })
          }
          span.end()
        },
      }
      spans.set(post, span)
      return post
    },

    beginCall({ adAccountId, isTest, events, posts }) {
      const carried = posts().flatMap((post) => spans.get(post) ?? [])
      // One that has ended already is no parent: its tree is closed.
      const parent = carried.find((span) => span.isRecording())
      const others = carried.filter((span) => span !== parent).slice(0, MOST_LINKS)
      const context: Context = parent === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, parent)
      const span = tracer.startSpan(
        'POST /v5/ad_accounts/{ad_account_id}/events',
        {
          kind: SpanKind.CLIENT,
          links: others.map((other) => ({ context: other.spanContext() })),
          attributes: {
            'http.request.method': 'POST',
            'url.template': '/v5/ad_accounts/{ad_account_id}/events',
            'pinrelay.ad_account_id': adAccountId,
            'pinrelay.test': isTest,
            'pinrelay.events': events,
          },
        },
        context,
      )
      return {
        end({ status, outcome }) {
          span.setAttribute('pinrelay.outcome', outcome)
          if (status !== undefined) span.setAttribute('http.response.status_code', status)
          if (status === undefined || status >= 400) {
            span.setAttribute('error.type', status === undefined ? outcome : String(status))
            span.setStatus({ code: SpanStatusCode.ERROR })
          }
          span.end()
        },
      }
    },

    async close(patienceMs) {
      const ended = new AbortController()
      // A collector that is away rejects, which was logged before.
      const closed = provider.shutdown().catch(() => undefined)
      await Promise.race([closed, delay(patienceMs, undefined, ended)]).finally(() => ended.abort())
    },
  }
}

/** Says once that spans are lost, and once that they are not any more; never with the address, which may hold a password. */
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
