/** What the front and the engine ask of each other: see thread.ts and engine.ts. */
import type { ExplainRequest } from './explain.ts'
import type { MasterKeys } from '../../vault/seal.ts'
import type { VaultChange, VaultDocument, VaultStore } from '../../vault/vault-store.ts'
import type { Settings } from '../../settings.ts'
import type { Shared, SharedChange } from '../shared.ts'
import type { FrontStore, Store } from '../store.ts'
import type { GroupReport } from './batcher.ts'
import type { Post, PostReceipt } from './posts.ts'
import type { BackupReport, BackupRequest, RecoverReport, StoreProblem } from './operations.ts'

export interface EngineSettings {
  readonly database: Settings['database']
  readonly masterKeys: MasterKeys
  readonly storeLimitBytes: number
  readonly reservedBytes: number
  readonly maxEventAgeMs: number
  readonly hasTrail: boolean
  /** Milliseconds since the epoch. */
  readonly openedAtMs: number
}

/** As the engine's thread has it. */
export interface OpenedStore {
  readonly store: Store
  readonly vaultStore: VaultStore
  /** With other replicas; undefined where one process owns the store. */
  readonly shared: Shared | undefined
  /** Undefined where there is no file of that name that was quarantined. */
  recover(name: string): Promise<RecoverReport | undefined>
  /** Rejects with BACKUP_REFUSED. */
  backUp(request: BackupRequest): Promise<BackupReport>
  close(): Promise<void>
}

/** What the front asks of the store's parts, word for word. */
export const FORWARDED = {
  store: [
    'acknowledge',
    'lease',
    'release',
    'backlog',
    'totals',
    'deadLetters',
    'replay',
    'purge',
    'expire',
    'trimDeadLetters',
    'events',
    'trailChanges',
    'trimTrail',
    'erase',
    'addAudit',
    'auditTrail',
    'trimDedupe',
    'reseal',
    'size',
  ],
  vaultStore: ['readVault', 'claim', 'unclaim'],
  shared: ['exchange', 'putBreaker', 'breakers', 'replicas'],
} as const satisfies {
  readonly store: readonly (keyof FrontStore)[]
  readonly vaultStore: readonly (keyof VaultStore)[]
  readonly shared: readonly (keyof Shared)[]
}

type ForwardedVault = Pick<VaultStore, (typeof FORWARDED.vaultStore)[number]>
type ForwardedShared = Pick<Shared, (typeof FORWARDED.shared)[number]>

export type EngineApi = FrontStore &
  ForwardedVault &
  ForwardedShared & {
    /** First, and once. Rejects as the store's opening does. */
    open(settings: EngineSettings): Promise<{ readonly isShared: boolean }>
    takePost(post: Post): Promise<PostReceipt>
    withdrawPost(postId: number): void
    /** JSON in UTF-8. */
    explain(request: ExplainRequest): Promise<{ readonly payload: Uint8Array }>
    /** Of a custom source's expression; undefined where it can be read. */
    findFault(expression: string): Promise<string | undefined>
    /** Asks back with `decideChange`. */
    changeVault(changeId: number): Promise<void>
    recover: OpenedStore['recover']
    backUp: OpenedStore['backUp']
    /** Last. */
    close(): Promise<void>
  }

export type FrontApi = {
  decideChange(changeId: number, fresh: readonly VaultDocument[] | undefined): VaultChange
  sharedChange(change: SharedChange): void
  problem(problem: StoreProblem): void
  group(report: GroupReport): void
}
