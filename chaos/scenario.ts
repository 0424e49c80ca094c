/** What a scenario gets, and what it hands back: claims, each of which holds or is broken. */
import type { Random } from '../test/support/random.ts'

export interface Claim {
  readonly holds: boolean
  /** The claim with its figures: `0 of 31,204 answered events lost`. */
  readonly text: string
}

export interface Context {
  /** Bounded for CI; the long form proves the promises. */
  readonly isShort: boolean
  readonly seed: number
  readonly random: Random
  /** One line of progress. */
  readonly say: (text: string) => void
}

export type Scenario = (context: Context) => Promise<readonly Claim[]>

export function claim(holds: boolean, text: string): Claim {
  return { holds, text }
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
