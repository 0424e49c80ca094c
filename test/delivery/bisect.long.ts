import t from 'tap'
import { searchOne } from './one-culprit.ts'

t.test('one culprit among 1,000 costs at most 13 calls, wherever it is', async (t) =>
  searchOne(t, [...Array(1000).keys()]),
)
