/** Tables of what is typed and what it is normalized as. A dropped value shows as its code in brackets. */
import type { NormalizedField, Region, UserDataField } from '../../../src/events/normalize/field.ts'
import { FIELDS, normalizeField } from '../../../src/events/normalize/field.ts'

export type Row = readonly [typed: unknown, expected: string]

/** Enough of tap's `t` for these tables. */
interface Assert {
  readonly equal: (found: string, wanted: string, message: string) => unknown
}

/** 15 June 2025, noon. */
export const NOW_MS = Date.UTC(2025, 5, 15, 12)

export function regionWith(region: Partial<Region>): Region {
  return { country: undefined, dobFormat: undefined, nowMs: NOW_MS, ...region }
}

export function checkTable(
  t: Assert,
  field: UserDataField,
  rows: readonly Row[],
  region: Partial<Region> = {},
): void {
  for (const [typed, expected] of rows) {
    const found = show(normalizeField(FIELDS[field], typed, regionWith(region)))
    t.equal(found, expected, `${field} ${JSON.stringify(typed)}`)
  }
}

export function show(normalized: NormalizedField): string {
  switch (normalized.status) {
    case 'read':
      return normalized.warning === undefined
        ? normalized.value
        : `${normalized.value} (${normalized.warning})`
    case 'hashed':
      return `hash ${normalized.hash}`
    case 'dropped':
      return `(${normalized.code})`
  }
}
