import t from 'tap'
import { LARGE_BYTES } from '../../src/http/room.ts'
import { createTurns } from '../../src/http/turns.ts'

t.test('large bodies are worked on one after the other, in their order; small ones at once', async (t) => {
  const turns = createTurns()
  const told: string[] = []
  const work = (name: string) => async () => {
    told.push(`${name} begins`)
    for (let n = 0; n < 5; n++) await Promise.resolve()
    told.push(`${name} ends`)
    return name
  }
  const all = [
    turns.take(LARGE_BYTES, work('first')),
    turns.take(10 * LARGE_BYTES, work('second')),
    turns.take(LARGE_BYTES - 1, work('small')),
  ]
  t.same(told, ['small begins'], 'a large one begins with a turn of the loop of its own')
  t.same(await Promise.all(all), ['first', 'second', 'small'])
  t.same(told, ['small begins', 'small ends', 'first begins', 'first ends', 'second begins', 'second ends'])
})

t.test('what fails, also at once, costs nobody else its turn', async (t) => {
  const turns = createTurns()
  const failing = turns.take(LARGE_BYTES, () => Promise.reject(new Error('no JSON')))
  const throwing = turns.take(LARGE_BYTES, () => {
    throw new Error('gone')
  })
  const next = turns.take(LARGE_BYTES, async () => 'done')
  await t.rejects(failing, { message: 'no JSON' })
  await t.rejects(throwing, { message: 'gone' })
  t.equal(await next, 'done')
})
