import t from 'tap'
import { postSpoiled } from './fuzz.ts'

const POSTS = 100_000
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000)

t.test(`${POSTS} spoiled posts (FUZZ_SEED=${seed}): each gets its row, and nothing is lost`, (t) =>
  postSpoiled(t, { posts: POSTS, seed }),
)
