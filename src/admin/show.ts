/** How the admin port writes times and failures. */
import type { TokenFailure } from '../vault/records.ts'

export function showTime(atMs: number | undefined): string | null {
  return atMs === undefined ? null : new Date(atMs).toISOString()
}

export function showFailure(failure: TokenFailure | undefined): { at: string; reason: string } | null {
  return failure === undefined ? null : { at: new Date(failure.atMs).toISOString(), reason: failure.reason }
}

/** Negative for what is past. */
export function showSecondsUntil(atMs: number | undefined, nowMs: number): number | null {
  return atMs === undefined ? null : Math.floor((atMs - nowMs) / 1000)
}
