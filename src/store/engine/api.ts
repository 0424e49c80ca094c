/** What the front and the engine ask of each other: see thread.ts and engine.ts. */
import type { ExplainRequest } from './explain.ts'
import type { MasterKeys } from '../../vault/seal.ts'
import type { DecideChange, VaultStore } from '../../vault/vault-store.ts'
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

/** The methods of the store's parts, which the front asks for word for word. */
export interface OpenedParts {
  readonly store: readonly string[]
  readonly vaultStore: readonly string[]
  /** Undefined where one process owns the store. */
  readonly shared: readonly string[] | undefined
}

export type EngineApi = FrontStore &
  Omit<VaultStore, 'changeVault'> &
  Omit<Shared, 'onChange'> &
  Pick<OpenedStore, 'recover' | 'backUp' | 'close'> & {
    /** First, and once. Rejects as the store's opening does. */
    open(settings: EngineSettings): Promise<OpenedParts>
    takePost(post: Post): Promise<PostReceipt>
    withdrawPost(postId: number): void
    /** JSON in UTF-8. */
    explain(request: ExplainRequest): Promise<{ readonly payload: Uint8Array }>
    /** Of a custom source's expression; undefined where it can be read. */
    findFault(expression: string): Promise<string | undefined>
    /** Asks back with `decideChange`. */
    changeVault(): Promise<void>
  }

export type FrontApi = {
  decideChange: DecideChange
  sharedChange(change: SharedChange): void
  problem(problem: StoreProblem): void
  group(report: GroupReport): void
}
