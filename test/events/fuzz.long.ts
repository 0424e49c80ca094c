import t from 'tap'
import { TEST_SEED } from '../support/seed.ts'
import { prepareSpoiled } from './fuzz.ts'

t.test('fifty thousand spoiled events: each is invalid, or prepared strictly and stably', async (t) =>
  prepareSpoiled(t, 50_000, TEST_SEED),
)
