/**
 * `POST /reseal`: seals with MASTER_KEY whatever MASTER_KEY_PREVIOUS sealed, the vault first. After it has answered, the
 * previous key is no longer needed. Safe to repeat at any time.
 */
import { Type, type Static } from 'typebox'
import { answers, closed, Count } from './answers.ts'
import type { AdminRoutes } from './options.ts'

/** Commits go on between the steps. */
const PAYLOADS_PER_STEP = 500

const Answer = Type.Object({ records: Count, payloads: Count }, closed)
export type ResealAnswer = Static<typeof Answer>

export const resealRoutes: AdminRoutes = async (app, { vault, store }) => {
  const schema = {
    tags: ['store'],
    summary: 'Seal again with MASTER_KEY what MASTER_KEY_PREVIOUS sealed',
    response: answers({ 200: Answer }),
  }
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
