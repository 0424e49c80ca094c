/**
 * Durations as counts in steps that grow by a fifth, from a tenth of a millisecond to minutes: a percentile is right within
 * a tenth, and as many durations as there may be cost the same few hundred bytes.
 */
export interface Durations {
  note(seconds: number): void
  /** `share` of 1; undefined when nothing was noted. In seconds. */
  percentile(share: number): number | undefined
  clear(): void
}

const SHORTEST_S = 0.0001
const GROWTH = 1.2
const STEPS = 80

export function createDurations(): Durations {
  const counts = new Uint32Array(STEPS)
  let total = 0
  return {
    note(seconds) {
      const step = Math.ceil(Math.log(Math.max(seconds, SHORTEST_S) / SHORTEST_S) / Math.log(GROWTH))
      counts[Math.min(step, STEPS - 1)]! += 1
      total += 1
    },
    percentile(share) {
      if (total === 0) return undefined
      let rest = Math.ceil(share * total)
      const step = counts.findIndex((count) => (rest -= count) <= 0)
      // The middle of the step, as growth goes.
      return SHORTEST_S * GROWTH ** (step - 0.5)
    },
    clear() {
      counts.fill(0)
      total = 0
    },
  }
}
