import t from 'tap'
import { postSpoiled } from './fuzz.ts'

t.test('600 spoiled posts: each gets its row of the answer table, and nothing is lost', (t) =>
  postSpoiled(t, { posts: 600, seed: 1 }),
)
