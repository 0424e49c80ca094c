import t from 'tap'
import { TEST_SEED } from '../../support/seed.ts'
import { runModel } from './run-model.ts'

t.test('any sequence of operations and crashes does what the model does', async (t) => {
  await runModel(1000, { seed: TEST_SEED, print: (line) => t.comment(line) })
  t.pass('the store did what the model did')
})
