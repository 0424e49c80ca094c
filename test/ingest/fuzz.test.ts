import t from 'tap'
import { postSpoiled } from './fuzz.ts'

t.test('300 spoiled posts: each gets its row of the answer table, and nothing is lost', (t) =>
  postSpoiled(t, { posts: 300, seed: 1 }),
)
