/** The SDK is loaded only where there is somewhere to send spans to. */
import type { OtelOptions } from './otel.ts'
import { NO_TRACING, type Tracing } from './tracing.ts'

export interface TracingSettings {
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined
  readonly OTEL_SERVICE_NAME: string
}

export async function openTracing(
  { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SERVICE_NAME: serviceName }: TracingSettings,
  options: Pick<OtelOptions, 'version' | 'log'>,
): Promise<Tracing> {
  if (endpoint === undefined) return NO_TRACING
  const { createOtelTracing } = await import('./otel.ts')
  return createOtelTracing({ ...options, endpoint, serviceName })
}
