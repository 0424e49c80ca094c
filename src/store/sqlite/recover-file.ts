/** `recover`: from a quarantined file into the open queue, one small step after the other, between which commits go on. */
import { mkdir, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Sealer } from '../../vault/seal.ts'
import type { Batcher } from '../engine/batcher.ts'
import type { RecoverReport } from '../engine/operations.ts'
import { openViews } from './damaged-file.ts'
import { recover } from './recover.ts'

/** What was taken from a file is remembered under its name. One at a time for each file. */
export async function recoverFile(batcher: Batcher, path: string, sealer: Sealer): Promise<RecoverReport> {
  const sum = { batches: 0, events: 0, duplicates: 0, deadLetters: 0, unreadable: 0 }
  const folder = `${path}.recovering`
  // Removes the leftovers of a process that died.
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: 0o700 })
  try {
    for (const step of recover(openViews(path, folder), sealer)) {
      const done = await batcher.submit('recover', { file: basename(path), ...step })
      for (const name of Object.keys(sum) as (keyof RecoverReport)[]) sum[name] += done[name]
    }
    return sum
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
