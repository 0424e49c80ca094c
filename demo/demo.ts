/** What every scene gets: the stage, the screen, and the demo's own two totals. */
import type { Claims } from './claims.ts'
import type { Screen } from './screen.ts'
import type { Stage } from './stage.ts'

export interface Demo {
  readonly stage: Stage
  readonly screen: Screen
  readonly claims: Claims
  readonly ledger: Ledger
  /** Raw identifiers that were posted so far, and their normalized forms. */
  readonly secrets: Set<string>
  /** Notes a claim and shows it. */
  readonly claim: (text: string, holds: boolean) => void
}

/** The events, counted by the demo itself as it posts them; compared with the relay's totals at the end. */
export interface Ledger {
  /** Good events of posts that the relay let in. */
  received: number
  duplicate: number
  /** Bad events, which the relay refuses itself. */
  invalid: number
  /** Events that Pinterest refuses. */
  rejected: number
  /** Events that never reach Pinterest, and are rejected all the same. */
  firewalled: number
  /** Events of the relay's own, which Pinterest takes. */
  canaries: number
}

export interface Scene {
  readonly title: string
  play(demo: Demo): Promise<void>
}

export function createDemo(parts: Pick<Demo, 'stage' | 'screen' | 'claims'>): Demo {
  const { screen, claims } = parts
  return {
    ...parts,
    ledger: { received: 0, duplicate: 0, invalid: 0, rejected: 0, firewalled: 0, canaries: 0 },
    secrets: new Set(),
    claim: (text, holds) => screen.claim(text, claims.check(text, holds)),
  }
}
