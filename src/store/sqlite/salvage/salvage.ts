/** `salvage`: from a file that was set aside into the open queue, one small step after the other. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Batcher } from '../batcher.ts'
import type { SalvageStep } from './read.ts'
import type { SalvageSettings } from './thread.ts'

export interface SalvageReport {
  readonly parcels: number
  readonly events: number
  /** Events and letters that are there already, or were delivered. */
  readonly duplicates: number
  readonly deadLetters: number
  /** Parcels and letters that were found, and of which too much is lost. */
  readonly unreadable: number
}

/** `file`: the name under which it is remembered what was taken from it. */
export async function salvageFile(
  batcher: Batcher,
  file: string,
  settings: SalvageSettings,
): Promise<SalvageReport> {
  const sum = { parcels: 0, events: 0, duplicates: 0, deadLetters: 0, unreadable: 0 }
  const thread = new Worker(new URL('./thread.ts', import.meta.url), { workerData: settings })
  try {
    for (;;) {
      thread.postMessage('next', [])
      const [step] = (await once(thread, 'message')) as [SalvageStep | null]
      if (step === null) return sum
      const { parcels, letters, unreadable } = step
      const done = await batcher.submit('salvage', { file, parcels, letters })
      sum.parcels += done.parcels
      sum.events += done.events
      sum.duplicates += done.duplicates
      sum.deadLetters += done.deadLetters
      sum.unreadable += unreadable
    }
  } finally {
    await thread.terminate()
  }
}
