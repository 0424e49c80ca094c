/**
 * `POST /reseal`: seals with MASTER_KEY whatever MASTER_KEY_PREVIOUS sealed, the vault first. After it has answered, the
 * previous key is no longer needed. Safe to ask for again at any time.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { answers, closed, Count } from './answers.ts'
import type { AdminOptions } from './app.ts'

/** In steps, between which commits go on. */
const PAYLOADS_PER_STEP = 500

const schema = {
  tags: ['store'],
  summary: 'Seal again with MASTER_KEY what MASTER_KEY_PREVIOUS sealed',
  response: answers({ 200: Type.Object({ records: Count, payloads: Count }, closed) }),
}

export const resealRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { vault, store }) => {
  app.post('/reseal', { schema }, async () => {
    const records = await vault.reseal()
    let payloads = 0
    for (;;) {
      const resealed = await store.reseal(PAYLOADS_PER_STEP)
      payloads += resealed
      if (resealed === 0) return { records, payloads }
    }
  })
}
