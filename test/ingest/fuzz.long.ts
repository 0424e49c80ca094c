import t from 'tap'
import { TEST_SEED } from '../support/seed.ts'
import { postSpoiled } from './fuzz.ts'

t.test('fifty thousand spoiled posts: each gets its row of the answer table, and nothing is lost', (t) =>
  postSpoiled(t, { posts: 50_000, seed: TEST_SEED }),
)
