/** Tables of what is typed and what it is spelled as. A dropped value shows as its code in brackets. */
import type { FieldSpelling, UserDataField } from '../../../src/event/normalize/field.ts'
import { spellField } from '../../../src/event/normalize/field.ts'
import type { Region } from '../../../src/event/normalize/spelling.ts'

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
    const found = show(spellField(field, typed, regionWith(region)))
    t.equal(found, expected, `${field} ${JSON.stringify(typed)}`)
  }
}

export function show(spelling: FieldSpelling): string {
  switch (spelling.status) {
    case 'spelled':
      return spelling.warning === undefined ? spelling.text : `${spelling.text} (${spelling.warning})`
    case 'hashed':
      return `hash ${spelling.hash}`
    case 'dropped':
      return `(${spelling.code})`
  }
}
