/** Lets a test wait for a condition without polling. */
export interface Watch {
  /** Checks again each condition that is waited for. */
  readonly check: () => void
  until(isTrue: () => boolean): Promise<void>
  /** Whoever still waits is rejected. */
  close(): void
}

export function createWatch(): Watch {
  const waiting = new Set<Waiting>()
  return {
    check() {
      for (const entry of waiting) {
        if (!entry.isTrue()) continue
        waiting.delete(entry)
        entry.resolve()
      }
    },
    until(isTrue) {
      if (isTrue()) return Promise.resolve()
      return new Promise((resolve, reject) => waiting.add({ isTrue, resolve, reject }))
    },
    close() {
      for (const { reject } of waiting) reject(new Error('the sandbox was closed'))
      waiting.clear()
    },
  }
}

interface Waiting {
  readonly isTrue: () => boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}
