/** What operators did, as the store's interface has it. */
/** Something that an operator did. */
export interface AuditEntry {
  readonly id: number
  readonly atMs: number
  /** A stable word: `replay`, `purge`, or the route of another request that changed something. */
  readonly action: string
  /** What it was done to, and how many of them: ids, filters and counts. Never a token, a key or an event's content. */
  readonly details: Readonly<Record<string, unknown>>
}

export interface AuditQuery {
  readonly limit: number
  readonly beforeId?: number
}
