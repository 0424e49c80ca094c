import t from 'tap'
import { mutateBody } from '../support/mutate.ts'
import { createRandom } from '../support/random.ts'
import { prepareSpoiled } from './fuzz.ts'
import { FULL } from './raw-events.ts'

t.test('a thousand spoiled events: each is invalid, or prepared strictly and stably', async (t) =>
  prepareSpoiled(t, 1000, 1),
)

t.test('the same seed spoils a body in the same way, and other seeds in others', async (t) => {
  const body = JSON.stringify({ data: [FULL] })
  const bodies = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    const mutated = Buffer.from(mutateBody(body, createRandom(seed).next)).toString('latin1')
    if (Buffer.from(mutateBody(body, createRandom(seed).next)).toString('latin1') !== mutated)
      t.fail(`seed ${seed}`)
    bodies.add(mutated)
  }
  t.ok(bodies.size > 160, `${bodies.size} different bodies`)
})
