/** graphile-worker: one job per post, committed before the answer; one call per job. Its batching of reads and completions is on. */
import { makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import { allProcessed, callPinterest, serve } from './afternoon.js'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 24 })
const tools = await makeWorkerUtils({ pgPool: pool })
await tools.migrate()
await run({
  pgPool: pool,
  concurrency: 20,
  pollInterval: 500,
  noHandleSignals: true,
  preset: { worker: { localQueue: { size: 200 }, completeJobBatchDelay: 5, failJobBatchDelay: 5 } },
  taskList: {
    deliver: ({ adAccountId, events }) => callPinterest(adAccountId, events).then(() => undefined),
  },
})
await serve(async (adAccountId, events) => {
  await tools.addJob('deliver', { adAccountId, events })
  return allProcessed(events)
})
