/** `recover`: from a quarantined file into the open queue, one small step after the other. */
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import type { Batcher } from '../engine/batcher.ts'
import type { RecoverReport } from '../engine/operations.ts'
import type { RecoverStep } from './recover.ts'
import type { RecoverSettings } from './recover-thread.ts'

/** `file`: the name under which it is remembered what was taken from it. One at a time for each file. */
export async function recoverFile(
  batcher: Batcher,
  file: string,
  settings: Omit<RecoverSettings, 'folder'>,
): Promise<RecoverReport> {
  const sum = { batches: 0, events: 0, duplicates: 0, deadLetters: 0, unreadable: 0 }
  const folder = `${settings.path}.recovering`
  // Removes the leftovers of a process that died.
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: 0o700 })
  const workerData: RecoverSettings = { ...settings, folder }
  const thread = new Worker(new URL('./recover-thread.ts', import.meta.url), { workerData })
  try {
    for (;;) {
      thread.postMessage('next', [])
      const [step] = (await once(thread, 'message')) as [RecoverStep | null]
      if (step === null) return sum
      const { batches, deadLetters, unreadable } = step
      const done = await batcher.submit('recover', { file, batches, deadLetters })
      sum.batches += done.batches
      sum.events += done.events
      sum.duplicates += done.duplicates
      sum.deadLetters += done.deadLetters
      sum.unreadable += unreadable
    }
  } finally {
    await thread.terminate()
    await rm(folder, { recursive: true, force: true })
  }
}
