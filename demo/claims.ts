/**
 * What the demo claims of the relay, and whether it holds. The exit code: 0 when every claim holds, 1 when one
 * fails or when nothing was claimed.
 */
export interface Claim {
  readonly text: string
  readonly holds: boolean
}

export interface Claims {
  /** Notes a claim, and returns whether it holds. */
  readonly check: (text: string, holds: boolean) => boolean
  readonly all: readonly Claim[]
}

export interface Outcome {
  readonly exitCode: 0 | 1
  readonly held: number
  /** The texts of the claims that do not hold, in the order in which they were made. */
  readonly failed: readonly string[]
}

export function createClaims(): Claims {
  const all: Claim[] = []
  return {
    check(text, holds) {
      all.push({ text, holds })
      return holds
    },
    all,
  }
}

export function judgeClaims(claims: readonly Claim[]): Outcome {
  const failed = claims.filter(({ holds }) => !holds).map(({ text }) => text)
  const exitCode = failed.length === 0 && claims.length > 0 ? 0 : 1
  return { exitCode, held: claims.length - failed.length, failed }
}
