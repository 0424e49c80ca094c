import t from 'tap'
import { backoffMs, readRetryAfter } from '../../src/delivery/retry.ts'
import fc from '../support/fast-check.ts'

const NOW = Date.UTC(2026, 0, 15, 12)

const rows: [string | undefined, number | undefined][] = [
  ['0', 0],
  ['120', 120_000],
  [' 5 ', 5000],
  ['999999', 300_000],
  ['Thu, 15 Jan 2026 12:01:00 GMT', 60_000],
  ['Thu, 15 Jan 2026 18:00:00 GMT', 300_000],
  ['Thu, 15 Jan 2026 11:59:59 GMT', undefined],
  ['Thu, 99 Jan 2026 12:00:00 GMT', undefined],
  [undefined, undefined],
  ['', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['1e3', undefined],
  ['soon', undefined],
  ['2026', 300_000],
  ['99999999999999999999', 300_000],
]
for (const [header, delayMs] of rows) {
  t.test(`Retry-After ${header} is ${delayMs} ms`, async (t) => t.equal(readRetryAfter(header, NOW), delayMs))
}

t.test('the backoff spans 500 ms at first and doubles to a minute', async (t) => {
  t.strictSame(
    [1, 2, 3, 8, 100].map((failures) => backoffMs(failures, 0.5)),
    [250, 500, 1000, 30_000, 30_000],
  )
})

t.test('no header throws, and none waits longer than the cap', async () => {
  fc.assert(
    fc.property(fc.string(), (header) => {
      const delayMs = readRetryAfter(header, NOW)
      return delayMs === undefined || (delayMs >= 0 && delayMs <= 300_000)
    }),
  )
})
