/**
 * Chooses the store by DATABASE_URL, and finds the secrets that go with it: with SQLite they are made at the first start and
 * kept beside its files, with PostgreSQL they are given, the same to every replica.
 */
import { existsSync } from 'node:fs'
import { basename, join, parse } from 'node:path'
import type { Settings } from '../settings.ts'
import { BadSettings } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import { openPostgres } from './postgres/open.ts'
import type { Shared } from './shared.ts'
import { openSqlite } from './sqlite/open.ts'
import type { StoreProblem } from './engine/protocol.ts'
import type { RecoverReport } from './sqlite/recover-file.ts'
import type { Store } from './store.ts'
import { loadOrMakeMasterKey, loadOrMakeSecretFile, parseMasterKey } from '../vault/master-key.ts'
import type { MasterKeys } from '../vault/seal.ts'
import type { VaultStore } from '../vault/vault-store.ts'

export interface OpenedStore {
  readonly store: Store
  readonly vaultStore: VaultStore
  /** With other replicas; undefined where one process owns the store. */
  readonly shared: Shared | undefined
  /** Undefined where there is no file of that name that was quarantined. */
  recover(name: string, adAccountIds: readonly string[]): Promise<RecoverReport | undefined>
  close(): Promise<void>
}

export interface OpenStoreOptions {
  readonly settings: Settings
  readonly masterKeys: MasterKeys
  readonly log: Log
  readonly openedAtMs: number
  readonly onGroup: (report: { readonly operationCount: number; readonly durationMs: number }) => void
  readonly onFatal: (() => void) | undefined
}

export async function openStore(options: OpenStoreOptions): Promise<OpenedStore> {
  const { settings, masterKeys, log, openedAtMs, onGroup, onFatal } = options
  const { database, STORE_LIMIT_BYTES: storeLimitBytes, RESERVED_BYTES: reservedBytes } = settings
  const onProblem = (problem: StoreProblem) => reportProblem(problem, log, onFatal)
  const common = { masterKeys, storeLimitBytes, onProblem, onGroup }
  switch (database.kind) {
    case 'sqlite': {
      const sqlite = await openSqlite({ ...common, path: database.path, reservedBytes, openedAtMs })
      return { ...sqlite, shared: undefined }
    }
    case 'postgres': {
      const postgres = await openPostgres({ ...common, url: database.url, directUrl: database.directUrl })
      return { ...postgres, recover: async () => undefined }
    }
  }
}

export async function findAdminToken({ ADMIN_TOKEN: given, database }: Settings): Promise<string> {
  if (given !== undefined) return given
  if (database.kind === 'postgres') throw new BadSettings('ADMIN_TOKEN must be set')
  return loadOrMakeSecretFile(besideStore(database.path, 'admin-token'), 32)
}

export async function findMasterKeys(settings: Settings): Promise<MasterKeys> {
  const { MASTER_KEY, MASTER_KEY_PREVIOUS } = settings
  const current =
    MASTER_KEY === undefined ? await findMasterKeyFile(settings) : parseMasterKey('MASTER_KEY', MASTER_KEY)
  if (MASTER_KEY_PREVIOUS === undefined) return { current }
  return { current, previous: parseMasterKey('MASTER_KEY_PREVIOUS', MASTER_KEY_PREVIOUS) }
}

/** A key is made for a new store only: an old one's cannot be replaced, and must not look as if it had been. */
async function findMasterKeyFile({ database }: Settings): Promise<Uint8Array> {
  if (database.kind === 'postgres') throw new BadSettings('MASTER_KEY must be set')
  const path = besideStore(database.path, 'master-key')
  if (!existsSync(path) && existsSync(besideStore(database.path, 'vault.db'))) {
    throw new BadSettings(`The master key file ${path} is missing: put it back, or set MASTER_KEY.`)
  }
  return loadOrMakeMasterKey(path)
}

/** What is made once is kept beside the store: `relay.db` has `relay.master-key` and `relay.admin-token`. */
function besideStore(databasePath: string, name: string): string {
  const { dir, name: stem } = parse(databasePath)
  return join(dir, `${stem}.${name}`)
}

function reportProblem(problem: StoreProblem, log: Log, onFatal: (() => void) | undefined): void {
  switch (problem.problem) {
    case 'totals_wrong':
      log.error(
        { ad_account_id: problem.queue.adAccountId, reason: 'totals_wrong' },
        'the totals disagree with the store',
      )
      return
    case 'batch_unreadable':
      log.error(
        { ad_account_id: problem.queue.adAccountId, reason: 'unreadable' },
        'a batch cannot be opened',
      )
      return
    case 'dead_letter_unreadable':
      log.error(
        { ad_account_id: problem.queue.adAccountId, reason: 'unreadable' },
        'a dead letter cannot be opened',
      )
      return
    case 'queue_quarantined':
      log.error(
        { file: basename(problem.path), reason: 'queue_quarantined' },
        'the queue was corrupt and is quarantined, a fresh one is in use: recover brings back what can be read',
      )
      return
    case 'commit_in_doubt':
      log.error(
        { reason: 'commit_in_doubt' },
        'a commit was not confirmed, posts are refused until one is: is the synchronous standby away?',
      )
      return
    case 'worker_died':
      log.error({ reason: 'worker_died' }, 'the store is gone, the relay must be started again')
      onFatal?.()
  }
}
