import t from 'tap'
import { postSpoiled } from './fuzz.ts'

t.test('100 spoiled posts: each gets its row of the answer table, and nothing is lost', (t) =>
  postSpoiled(t, { posts: 100, seed: 1 }),
)
