/** What operators do with the store as a whole: back it up, reseal it, recover what was quarantined. */
import { Type, type Static } from '../type.ts'
import { NoSuch, RecoverRunning } from '../errors.ts'
import type { AdminRoutes } from './options.ts'

const Resealed = Type.Closed({ records: Type.Count, payloads: Type.Count })
export type ResealAnswer = Static<typeof Resealed>
/** Commits run between the steps. */
const PAYLOADS_PER_STEP = 500

const BackupBody = Type.Closed(
  {
    folder: Type.String({
      minLength: 1,
      maxLength: 4096,
      description: "Absolute, as the relay's process sees it; empty, or made.",
    }),
    with_master_key: Type.Optional(
      Type.Boolean({ description: 'Whoever has the folder can then read everything in it.' }),
    ),
  },
  { examples: [{ folder: '/backup/2026-11-27' }] },
)
const BackedUp = Type.Closed({
  files: Type.Array(Type.Closed({ file: Type.String(), bytes: Type.Count })),
  with_master_key: Type.Boolean(),
})
export type BackupAnswer = Static<typeof BackedUp>

const RecoverBody = Type.Closed(
  { file: Type.String({ minLength: 1, maxLength: 255 }) },
  { examples: [{ file: 'relay.db.corrupt-1767225600000' }] },
)
const Recovered = Type.Closed({
  batches: Type.Count,
  events: Type.Count,
  duplicates: Type.Count,
  dead_letters: Type.Count,
  unreadable: Type.Count,
})
export type RecoverAnswer = Static<typeof Recovered>

export const storeRoutes: AdminRoutes = async (app, { vault, store, delivery, backUp, recover }) => {
  /** Reseals the vault first, then the payloads. After the answer, the previous key is no longer needed. Safe to repeat at any time. */
  const resealing = {
    summary: 'Seal again with MASTER_KEY what MASTER_KEY_PREVIOUS sealed',
    response: { 200: Resealed },
  }
  app.post('/reseal', { schema: resealing }, async () => {
    const records = await vault.reseal()
    return { records, payloads: await store.reseal(PAYLOADS_PER_STEP) }
  })

  const backingUp = {
    summary: 'Copy vault and queue into a folder while posts are taken (SQLite)',
    body: BackupBody,
    response: { 200: BackedUp },
  }
  app.post('/backup', { schema: backingUp }, async (request) => {
    const { folder, with_master_key: withMasterKey = false } = request.body
    if (withMasterKey) request.audited = { with_master_key: true }
    const { files } = await backUp({ folder, withMasterKey })
    return { files, withMasterKey }
  })

  let isRunning = false
  /** The request has the file's name only: it is beside the store. Safe to repeat at any time, also when an answer was lost. */
  const recovering = {
    summary: 'Bring back what can be read of a queue that was quarantined',
    body: RecoverBody,
    response: { 200: Recovered },
  }
  app.post('/recover', { schema: recovering }, async (request) => {
    if (isRunning) throw new RecoverRunning()
    isRunning = true
    try {
      const report = await recover(request.body.file)
      if (report === undefined) throw new NoSuch('quarantined queue of this name')
      return report
    } finally {
      isRunning = false
      // Also after a failure: what was recovered before it can be sent.
      for (const queue of await store.backlog()) delivery.wake(queue)
    }
  })
}
