import t from 'tap'
import { readPrefer } from '../../src/ingest/post-events.ts'

const rows: [string | string[] | undefined, number, string | undefined][] = [
  [undefined, 4000, undefined],
  ['', 4000, undefined],
  ['respond-async', 0, 'respond-async'],
  ['Respond-Async', 0, 'respond-async'],
  ['wait=10', 10_000, 'wait=10'],
  ['wait = 10', 10_000, 'wait=10'],
  ['wait="10"', 10_000, 'wait=10'],
  ['wait=0', 0, 'wait=0'],
  ['wait=31', 30_000, 'wait=30'],
  ['wait=999999', 30_000, 'wait=30'],
  ['wait=-1', 4000, undefined],
  ['wait=soon', 4000, undefined],
  ['handling=lenient, wait=5; foo=bar', 5000, 'wait=5'],
  ['wait=5, wait=9', 5000, 'wait=5'],
  ['respond-async, wait=5', 5000, 'respond-async, wait=5'],
  ['wait=99999999', 30_000, 'wait=30'],
  [['return=minimal', 'wait=2'], 2000, 'wait=2'],
]
for (const [header, waitMs, applied] of rows) {
  t.test(`Prefer: ${String(header)}`, async (t) =>
    t.strictSame(readPrefer(header, 4000), { waitMs, applied }),
  )
}
