/**
 * `POST /recover`: brings back what can still be read of a queue that was quarantined. Only by its name: the file lies
 * beside the store. Safe to repeat at any time, also when an answer was lost.
 */
import { Type, type Static } from 'typebox'
import { NoSuch, RecoverRunning } from '../errors.ts'
import { answerOf, answers, closed, Count } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const Body = Type.Object(
  { file: Type.String({ minLength: 1, maxLength: 255 }) },
  { ...closed, examples: [{ file: 'relay.db.corrupt-1767225600000' }] },
)

const Answer = Type.Object(
  { batches: Count, events: Count, duplicates: Count, dead_letters: Count, unreadable: Count },
  closed,
)
export type RecoverAnswer = Static<typeof Answer>

export const recoverRoutes: AdminRoutes = async (app, { recover, store, delivery }) => {
  let isRunning = false

  const schema = {
    tags: ['store'],
    summary: 'Bring back what can be read of a queue that was quarantined',
    body: Body,
    response: answers({ 200: Answer }),
  }
  app.post('/recover', { schema }, async (request) => {
    if (isRunning) throw new RecoverRunning()
    isRunning = true
    try {
      const report = await recover(request.body.file)
      if (report === undefined) throw new NoSuch('quarantined queue of this name')
      return answerOf(Answer, report)
    } finally {
      isRunning = false
      // Also after a failure: what was recovered before it can be sent.
      for (const queue of await store.backlog()) delivery.wake(queue)
    }
  })
}
