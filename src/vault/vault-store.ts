/**
 * Where the vault's documents are kept, apart from the queue: a broken queue loses no token. Documents
 * arrive here sealed and are never opened.
 */
export interface VaultDocument<Body = Uint8Array> {
  readonly kind: string
  readonly id: string
  /** The sealed record. */
  readonly body: Body
}

/** Each is added or replaced; without a body it is removed. */
export type VaultChange = readonly VaultDocument<Uint8Array | undefined>[]

/** Answers late where it decides in another thread. */
export type DecideChange = (fresh: readonly VaultDocument[] | undefined) => VaultChange | Promise<VaultChange>

export interface VaultStore {
  /** Every document, as of one moment. */
  readVault(): Promise<readonly VaultDocument[]>
  /**
   * Commits what `decide` answers, all of it or nothing, and resolves after the sync. No other replica changes the vault
   * meanwhile; `fresh` are the documents if another one may have changed them since this store last gave them to a
   * `decide`. One at a time: the caller ensures that.
   */
  changeVault(decide: DecideChange): Promise<void>
  /** Whether this name is this process's now: false while another living replica has it. Ends with `unclaim` or the process. */
  claim(name: string): Promise<boolean>
  unclaim(name: string): Promise<void>
}
