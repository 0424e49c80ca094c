/** Work that nobody awaits where it begins: kept here, where whoever closes waits for it. */
export interface Running {
  /** `work` must never reject. */
  add(work: Promise<void>): void
  /** Resolves when nothing runs, work that was added meanwhile included. */
  ended(): Promise<void>
}

export function createRunning(): Running {
  const works = new Set<Promise<void>>()
  return {
    add(work) {
      works.add(work)
      void work.finally(() => works.delete(work))
    },
    async ended() {
      while (works.size > 0) await Promise.all(works)
    },
  }
}
