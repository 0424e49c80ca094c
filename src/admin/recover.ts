/**
 * `POST /recover`: brings back what can still be read of a queue that was quarantined. Only by its name: the file lies
 * beside the store. Safe to ask for again at any time, also after an answer that never came.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { NotFound, RecoverRunning } from '../errors.ts'
import type { RecoverReport } from '../store/sqlite/recover-file.ts'
import { answers, closed, Count } from './answers.ts'
import type { AdminOptions } from './app.ts'

const Body = Type.Object(
  { file: Type.String({ minLength: 1, maxLength: 255 }) },
  { additionalProperties: false },
)

const Answer = Type.Object(
  { batches: Count, events: Count, duplicates: Count, dead_letters: Count, unreadable: Count },
  closed,
)

const schema = {
  tags: ['store'],
  summary: 'Bring back what can be read of a queue that was quarantined',
  body: Body,
  response: answers({ 200: Answer }),
}

export const recoverRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (
  app,
  { recover, store, delivery },
) => {
  let isRunning = false

  app.post('/recover', { schema }, async (request) => {
    if (isRunning) throw new RecoverRunning()
    isRunning = true
    try {
      const report = await recover(request.body.file)
      if (report === undefined) throw new NotFound()
      return show(report)
    } finally {
      isRunning = false
      // Also after a failure: what came so far must not wait for the rest.
      for (const queue of await store.backlog()) delivery.wake(queue)
    }
  })
}

function show({ batches, events, duplicates, deadLetters, unreadable }: RecoverReport) {
  return { batches, events, duplicates, dead_letters: deadLetters, unreadable }
}
