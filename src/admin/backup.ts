/** `POST /backup`: copies a SQLite store into a folder of the relay's machine while posts go on. */
import { Type, type Static } from 'typebox'
import { answers, closed, Count } from './answers.ts'
import type { AdminRoutes } from './options.ts'

const Body = Type.Object(
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
  { ...closed, examples: [{ folder: '/backup/2026-11-27' }] },
)

const Answer = Type.Object(
  {
    files: Type.Array(Type.Object({ file: Type.String(), bytes: Count }, closed)),
    with_master_key: Type.Boolean(),
  },
  closed,
)
export type BackupAnswer = Static<typeof Answer>

export const backupRoutes: AdminRoutes = async (app, { backUp }) => {
  const schema = {
    tags: ['store'],
    summary: 'Copy vault and queue into a folder while posts go on (SQLite)',
    body: Body,
    response: answers({ 200: Answer }),
  }
  app.post('/backup', { schema }, async ({ body: { folder, with_master_key: withMasterKey = false } }) => {
    const { files } = await backUp({ folder, withMasterKey })
    return { files: [...files], with_master_key: withMasterKey }
  })
}
