/**
 * Opens the store that DATABASE_URL names, and finds its secrets: with SQLite they are made at the first start and
 * kept beside its files, with PostgreSQL they are given, the same to every replica.
 */
import { existsSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import type { Settings } from '../settings.ts'
import { BadSettings } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import { openEngine, type Engine, type EngineOptions } from './engine/engine.ts'
import type { StoreProblem } from './engine/operations.ts'
import { loadOrMakeMasterKey, loadOrMakeSecretFile, parseMasterKey } from '../vault/master-key.ts'
import type { MasterKeys } from '../vault/seal.ts'
import { besideQueue, vaultBeside } from './paths.ts'

export interface OpenStoreOptions extends Pick<EngineOptions, 'onGroup' | 'startThread'> {
  readonly settings: Settings
  readonly masterKeys: MasterKeys
  readonly log: Log
  readonly onFatal: (() => void) | undefined
}

export function openStore(options: OpenStoreOptions): Promise<Engine> {
  const { settings, masterKeys, log, onGroup, onFatal, startThread } = options
  return openEngine({
    settings: {
      database: settings.database,
      masterKeys,
      storeLimitBytes: settings.STORE_LIMIT_BYTES,
      reservedBytes: settings.RESERVED_BYTES,
      maxEventAgeMs: settings.MAX_EVENT_AGE_HOURS * 3_600_000,
      hasTrail: settings.TRAIL_HOURS > 0,
    },
    onProblem: (problem) => reportProblem(problem, log, onFatal),
    onGroup,
    ...(startThread && { startThread }),
  })
}

export async function findAdminToken(settings: Settings): Promise<string> {
  return settings.ADMIN_TOKEN ?? loadOrMakeSecretFile(adminTokenFile(settings), 32)
}

/** Used where ADMIN_TOKEN is unset. */
export function adminTokenFile({ database }: Settings): string {
  if (database.kind === 'postgres') throw new BadSettings('ADMIN_TOKEN must be set')
  return besideQueue(database.path, '.admin-token')
}

export async function findMasterKeys(settings: Settings): Promise<MasterKeys> {
  const { MASTER_KEY, MASTER_KEY_PREVIOUS, database } = settings
  // Otherwise a key would be missed beside it, or SQLite would call it an I/O error.
  if (database.kind === 'sqlite' && isFolder(database.path))
    throw new BadSettings(`DATABASE_URL: ${database.path} is a folder; name a file in it.`)
  const current =
    MASTER_KEY === undefined ? await findMasterKeyFile(settings) : parseMasterKey('MASTER_KEY', MASTER_KEY)
  if (MASTER_KEY_PREVIOUS === undefined) return { current }
  return { current, previous: parseMasterKey('MASTER_KEY_PREVIOUS', MASTER_KEY_PREVIOUS) }
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory()
}

/** A key is made for a new store only: that of an old one cannot be replaced. */
async function findMasterKeyFile({ database }: Settings): Promise<Uint8Array> {
  if (database.kind === 'postgres') throw new BadSettings('MASTER_KEY must be set')
  const path = masterKeyFile(database.path)
  if (!existsSync(path) && [database.path, vaultBeside(database.path)].some((file) => existsSync(file))) {
    throw new BadSettings(`The master key file ${path} is missing: put it back, or set MASTER_KEY.`)
  }
  return loadOrMakeMasterKey(path)
}

/** Used where MASTER_KEY is unset. */
export function masterKeyFile(databasePath: string): string {
  return besideQueue(databasePath, '.master-key')
}

function reportProblem(problem: StoreProblem, log: Log, onFatal: (() => void) | undefined): void {
  const [reason, text] = PROBLEMS[problem.problem]
  log.error(
    {
      reason,
      ...('queue' in problem && { ad_account_id: problem.queue.adAccountId }),
      ...('path' in problem && { file: basename(problem.path) }),
    },
    text,
  )
  if (problem.problem === 'engine_died') onFatal?.()
}

const PROBLEMS: Readonly<Record<StoreProblem['problem'], readonly [reason: string, text: string]>> = {
  batch_unreadable: ['unreadable', 'a batch cannot be opened'],
  dead_letter_unreadable: ['unreadable', 'a dead letter cannot be opened'],
  queue_quarantined: [
    'queue_quarantined',
    'the queue was corrupt and is quarantined, a fresh one is in use: recover brings back what can be read',
  ],
  commit_in_doubt: [
    'commit_in_doubt',
    'a commit was not confirmed, posts are refused until one is: is the synchronous standby away?',
  ],
  commits_lost: [
    'commits_lost',
    'the database lacks what it confirmed, events that were answered may be lost: was a standby promoted that was behind?',
  ],
  engine_died: ['engine_died', 'the store is gone, the relay must be started again'],
}
