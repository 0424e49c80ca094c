import t from 'tap'
import { Compile } from 'typebox/compile'
import { prepareEvent } from '../../src/event/prepare.ts'
import { EventSchema } from '../../src/event/schema.ts'
import { createRandom, mutateBody, mutateValue } from '../support/mutate.ts'
import { FULL, SEED, TEST } from './raw-events.ts'

const ROUNDS = 20_000
const strict = Compile(EventSchema)

t.test('twenty thousand spoiled events: each is refused, or prepared strictly and stably', async (t) => {
  const counts = { prepared: 0, refused: 0 }
  for (let seed = 0; seed < ROUNDS; seed++) {
    const raw = mutateValue(seed % 2 === 0 ? FULL : SEED, createRandom(seed))
    const prepared = prepareEvent(raw, TEST)
    counts[prepared.status] += 1
    if (prepared.status === 'refused') continue
    const event = JSON.parse(prepared.json) as unknown
    const again = prepareEvent(event, TEST)
    if (!strict.Check(event) || again.status === 'refused' || again.json !== prepared.json) {
      t.fail(`seed ${seed} gives an event that Pinterest would not take, or that prepares to another one`)
    }
    if (prepared.json.includes('\n')) t.fail(`seed ${seed} gives a raw line feed`)
  }
  t.ok(counts.prepared > ROUNDS / 10, `${counts.prepared} prepared`)
  t.ok(counts.refused > ROUNDS / 10, `${counts.refused} refused`)
})

t.test('the same seed spoils a body in the same way, and other seeds in others', async (t) => {
  const body = JSON.stringify({ data: [FULL] })
  const bodies = new Set<string>()
  for (let seed = 0; seed < 500; seed++) {
    const mutated = Buffer.from(mutateBody(body, createRandom(seed))).toString('latin1')
    if (Buffer.from(mutateBody(body, createRandom(seed))).toString('latin1') !== mutated)
      t.fail(`seed ${seed}`)
    bodies.add(mutated)
  }
  t.ok(bodies.size > 400, `${bodies.size} different bodies`)
})
