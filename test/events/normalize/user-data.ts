/** What holds for all customer data, tried as often as asked for. */
import assert from 'node:assert/strict'
import { HASHED_FIELD_NAMES, TEXT_FIELD_NAMES } from '../../support/user-data-fields.ts'
import { createReport } from '../../../src/events/report.ts'
import type { UserData } from '../../../src/events/schema.ts'
import { normalizeUserData, type NormalizeContext } from '../../../src/events/user-data.ts'
import { anyText } from '../../support/any-text.ts'
import { NOW_MS } from './table.ts'
import fc from '../../support/fast-check.ts'

export const context: NormalizeContext = { accountCountry: undefined, dobFormat: undefined, nowMs: NOW_MS }

export interface Normalized {
  readonly data: Partial<UserData>
  readonly warnings: readonly string[]
}

export function normalize(
  raw: Readonly<Record<string, unknown>>,
  more: Partial<NormalizeContext> = {},
): Normalized {
  const report = createReport()
  const data = normalizeUserData(raw, undefined, { ...context, ...more }, report)
  return { data, warnings: report.warnings.map(({ path, code }) => `${path}: ${code}`) }
}

const key = fc.oneof(fc.constantFrom(...HASHED_FIELD_NAMES, ...TEXT_FIELD_NAMES), fc.string())
const typed = fc.oneof(
  anyText(),
  fc.string({ unit: 'grapheme' }),
  fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units)),
  fc.emailAddress(),
  fc.ipV4(),
  fc.ipV6(),
  fc.uuid(),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.stringMatching(/^\+?[\d ()./-]{5,20}$/),
  fc.stringMatching(/^[A-Za-z]{1,12}([ '-][A-Za-z]{1,12})?$/),
  fc.integer(),
  fc.double(),
  fc.constantFrom(
    'null',
    'N/A',
    'Null',
    'na',
    'N-A',
    'n a n',
    'none',
    '-',
    ' ',
    'US',
    'California',
    '2139',
    '–',
  ),
)
const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true })
const userData = fc.dictionary(key, fc.oneof(typed, fc.array(typed), anything))
const contexts = fc.record({
  accountCountry: fc.constantFrom(undefined, 'us', 'de', 'it', 'jp', 'aq', 'nowhere'),
  dobFormat: fc.constantFrom(undefined, 'DMY' as const, 'MDY' as const),
  nowMs: fc.constantFrom(NOW_MS, 0, NaN),
})

export function hashesAlone(runs: number): void {
  fc.assert(
    fc.property(userData, contexts, (raw, more) => {
      const { data, warnings } = normalize(raw, more)
      for (const field of HASHED_FIELD_NAMES) {
        const hashes = data[field]
        assert.ok(hashes === undefined || hashes.length > 0)
        assert.ok(hashes?.every((hash) => /^[0-9a-f]{64}$/.test(hash)) ?? true)
        assert.equal(new Set(hashes).size, hashes?.length ?? 0)
      }
      for (const field of TEXT_FIELD_NAMES) assert.ok(data[field] !== '')
      for (const warning of warnings)
        assert.match(
          warning,
          /^(user_data(\.(\(unnamed\)|[A-Za-z_]\w*)(\[\d+\])?)?: \w+|event: more_warnings)$/,
        )
      assert.deepEqual(JSON.parse(JSON.stringify(data)), data)
    }),
    { numRuns: runs },
  )
}

export function normalizesOnce(runs: number): void {
  fc.assert(
    fc.property(userData, contexts, (raw, more) => {
      const once = normalize(raw, more)
      assert.deepEqual(normalize(once.data, more), { data: once.data, warnings: [] })
    }),
    { numRuns: runs },
  )
}

export function ignoresLooks(runs: number): void {
  const fields = ['em', 'fn', 'ln', 'ct', 'st', 'zp', 'country', 'ge'] as const
  const ascii = fc.stringMatching(/^[A-Za-z0-9@.' -]{0,20}$/)
  fc.assert(
    fc.property(fc.constantFrom(...fields), ascii, (field, value) => {
      // Whether `al-ain` has Albania's prefix is told by its case alone (see st.ts).
      fc.pre(field !== 'st' || !/^\W*[a-z]{2,3}\s*-/i.test(value))
      const plain = normalize({ [field]: value })
      assert.deepEqual(normalize({ [field]: `\u200b ${value.toUpperCase()}\u00a0\ufeff` }).data, plain.data)
      assert.deepEqual(normalize({ [field]: value.toLowerCase() }).data, plain.data)
    }),
    { numRuns: runs },
  )
}
