/**
 * `POST /salvage`: brings back what can still be read of a queue that was set aside. Only by its name: the file lies
 * beside the store. Safe to ask for again at any time, also after an answer that never came.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { NotFound } from '../errors.ts'
import type { AdminOptions } from './app.ts'

const Body = Type.Object(
  { file: Type.String({ minLength: 1, maxLength: 255 }) },
  { additionalProperties: false },
)

export const salvageRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { salvage, delivery }) => {
  app.post('/salvage', { schema: { body: Body } }, async (request) => {
    const report = await salvage(request.body.file)
    if (report === undefined) throw new NotFound()
    for (const lane of report.lanes) delivery.wake(lane)
    const { parcels, events, duplicates, deadLetters, unreadable } = report
    return { parcels, events, duplicates, dead_letters: deadLetters, unreadable }
  })
}
