/** The ceiling: a route that reads the JSON body and answers a constant. Prints its port. */
import Fastify from 'fastify'

const app = Fastify({ bodyLimit: 8 * 1024 * 1024 })
const answer = {
  num_events_received: 1,
  num_events_processed: 1,
  events: [{ status: 'processed', error_message: '', warning_message: '' }],
}
app.post('/v5/ad_accounts/:ad_account_id/events', async () => answer)
const address = await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`${JSON.stringify({ port: Number(new URL(address).port) })}\n`)
