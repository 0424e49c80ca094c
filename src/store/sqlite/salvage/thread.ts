/** A thread of its own reads a file that was set aside, step by step as it is asked, so that no commit waits for it. */
import { parentPort, workerData } from 'node:worker_threads'
import { createSealer, type MasterKeys } from '../../../vault/seal.ts'
import { openPages } from './pages.ts'
import { readSalvage } from './read.ts'

export interface SalvageSettings {
  readonly path: string
  readonly masterKeys: MasterKeys
  readonly adAccountIds: readonly string[]
}

const { path, masterKeys, adAccountIds } = workerData as SalvageSettings
const pages = openPages(path)
const steps = readSalvage({ pages, sealer: createSealer(masterKeys), adAccountIds })
const port = parentPort!
// Null after the last.
port.on('message', () => port.postMessage(steps.next().value ?? null))
