/** `GET /metrics`: for Prometheus. */
import type { AdminRoutes } from './options.ts'

export const metricsRoutes: AdminRoutes = async (app, { metrics, settings }) => {
  const schema = {
    summary: 'For Prometheus; without the admin token when METRICS_OPEN=true',
    response: { 200: { type: 'string' } },
  }
  app.get('/metrics', { config: { isOpen: settings.METRICS_OPEN }, schema }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.render()),
  )
}
