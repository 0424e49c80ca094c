/** A thread of its own reads a quarantined file, step by step as it is asked, so that no commit waits for it. */
import { parentPort, workerData } from 'node:worker_threads'
import { createSealer, type MasterKeys } from '../../vault/seal.ts'
import { openViews } from './damaged-file.ts'
import { recover } from './recover.ts'

export interface RecoverSettings {
  readonly path: string
  /** Empty, on the same disk. */
  readonly folder: string
  readonly masterKeys: MasterKeys
  readonly adAccountIds: readonly string[]
}

const { path, folder, masterKeys, adAccountIds } = workerData as RecoverSettings
const steps = recover(openViews(path, folder), createSealer(masterKeys), adAccountIds)
const port = parentPort!
// Null after the last.
port.on('message', () => port.postMessage(steps.next().value ?? null))
