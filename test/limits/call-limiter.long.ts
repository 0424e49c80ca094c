import t from 'tap'
import { keepsToLimit } from './call-limiter.ts'

t.test('never more than CALLS_PER_MINUTE in any rolling 60 seconds, whatever happens', async () =>
  keepsToLimit(30_000),
)
