import t from 'tap'
import { postBurst } from './burst.ts'

t.test('fifty posts of a thousand events at once are all taken', (t) =>
  postBurst(t, { posts: 50, eventsEach: 1000, bodyLimitBytes: 8 * 1024 * 1024 }),
)
