/** pg-boss: one job per post, committed before the answer; up to a hundred jobs of an account become one call. */
import { PgBoss } from 'pg-boss'
import { allProcessed, callPinterest, serve } from './afternoon.js'

const QUEUE = 'deliver'
const WORKERS = 4
const EVENTS_PER_CALL = 1000
const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, max: 24 })
boss.on('error', (error) => process.stderr.write(`${error.message}\n`))
await boss.start()
await boss.createQueue(QUEUE, { retryLimit: 10, retryBackoff: true })
for (let worker = 0; worker < WORKERS; worker++) {
  await boss.work(QUEUE, { batchSize: 100, pollingIntervalSeconds: 0.5 }, deliver)
}
await serve(async (adAccountId, events) => {
  await boss.send(QUEUE, { adAccountId, events })
  return allProcessed(events)
})

async function deliver(jobs) {
  for (const [adAccountId, ofAccount] of Map.groupBy(jobs, ({ data }) => data.adAccountId)) {
    const events = ofAccount.flatMap(({ data }) => data.events)
    for (let at = 0; at < events.length; at += EVENTS_PER_CALL) {
      await callPinterest(adAccountId, events.slice(at, at + EVENTS_PER_CALL))
    }
  }
}
