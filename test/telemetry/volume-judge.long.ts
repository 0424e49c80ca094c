import t from 'tap'
import { judgeUsualWeeks } from './shops.ts'

t.test('shops of every size go through four usual weeks, and next to nothing is marked', async (t) =>
  judgeUsualWeeks(
    t,
    Array.from({ length: 60 }, (_, n) => n + 1),
  ),
)
