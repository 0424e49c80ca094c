/** Spoiled events, as many as asked for: fuzz.test.ts takes some, fuzz.long.ts many. */
import { isDeepStrictEqual } from 'node:util'
import type { Test } from 'tap'
import { Compile } from 'typebox/schema'
import { prepareEvent } from '../../src/events/prepare.ts'
import { EventSchema } from '../../src/events/schema.ts'
import { mutateValue } from '../support/mutate.ts'
import { createRandom } from '../support/random.ts'
import { FULL, SEED, TEST } from './raw-events.ts'

const strict = Compile(EventSchema)

/** each is invalid, or prepared strictly and stably. */
export function prepareSpoiled(t: Test, rounds: number, firstSeed: number): void {
  const counts = { prepared: 0, filtered: 0, invalid: 0 }
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    const raw = mutateValue(seed % 2 === 0 ? FULL : SEED, createRandom(seed).next)
    const prepared = prepareEvent(raw, TEST)
    counts[prepared.status] += 1
    if (prepared.status !== 'prepared') continue
    const event = JSON.parse(prepared.json) as unknown
    const again = prepareEvent(event, TEST)
    if (
      !strict.Check(event) ||
      again.status !== 'prepared' ||
      !isDeepStrictEqual(JSON.parse(again.json), event)
    ) {
      t.fail(`seed ${seed} gives an event that Pinterest would not take, or that prepares to another one`)
    }
    if (prepared.json.includes('\n')) t.fail(`seed ${seed} gives a raw line feed`)
  }
  t.ok(counts.prepared > rounds / 10, `${counts.prepared} prepared`)
  t.ok(counts.invalid > rounds / 10, `${counts.invalid} refused`)
}
