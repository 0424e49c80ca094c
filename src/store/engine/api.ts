/** What the front and the engine ask of each other: see serve.ts and engine.ts. */
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
  /** Commits that would bring what is stored near this reject with STORE_UNAVAILABLE. */
  readonly storeLimitBytes: number
  /** Disk space that SQLite keeps for the day when the disk is full. */
  readonly reservedBytes: number
  /** Whether the event trail is written. */
  readonly hasTrail: boolean
  readonly maxEventAgeMs: number
}

/** What both stores are opened with. */
export interface StoreOptions extends Omit<EngineSettings, 'database' | 'maxEventAgeMs'> {
  /** For the event trail, and for the ids of batches. */
  readonly wallMs: () => number
  readonly onProblem: (problem: StoreProblem) => void
  readonly onGroup: (report: GroupReport) => void
  /** See `Shared.onChange`. */
  readonly onChange: (change: SharedChange) => void
  /** Once aborted, no write is retried, and a database that does not answer is not waited for. Closing follows. */
  readonly signal: AbortSignal
}

/** As the engine's thread has it. */
export interface OpenedStore {
  readonly store: Store
  readonly vaultStore: VaultStore
  /** With other replicas; undefined where one process owns the store. */
  readonly shared: Omit<Shared, 'onChange'> | undefined
  /**
   * Recovers what can still be read of a queue that was quarantined, by its name; undefined when there is none of that
   * name. The file is not changed, and nothing is recovered twice.
   */
  recover(name: string): Promise<RecoverReport | undefined>
  /** Copies the store while posts are taken. Rejects with BACKUP_REFUSED. */
  backUp(request: BackupRequest): Promise<BackupReport>
  /** Finishes what was asked for. */
  close(this: void): Promise<void>
}

export type EngineApi = FrontStore &
  Omit<VaultStore, 'changeVault'> &
  Omit<Shared, 'onChange'> &
  Pick<OpenedStore, 'recover' | 'backUp' | 'close'> & {
    /** First, and once; answers the names of all. Rejects as the store's opening does. */
    open(settings: EngineSettings): Promise<readonly (keyof EngineApi)[]>
    takePost(post: Post): Promise<PostReceipt>
    withdrawPost(postId: number): void
    /** JSON in UTF-8. */
    explain(request: ExplainRequest): Promise<{ readonly payload: Uint8Array }>
    /** Of a custom source's expression; undefined where it can be read. */
    findFault(expression: string): Promise<string | undefined>
    /** Asks back with `decideChange`. */
    changeVault(): Promise<void>
    /** The store is closed soon: after so long, what it is asked for is done or unavailable. The first one counts. */
    endWithin(ms: number): void
  }

export type FrontApi = {
  decideChange: DecideChange
  sharedChange(change: SharedChange): void
  problem(problem: StoreProblem): void
  group(report: GroupReport): void
}
