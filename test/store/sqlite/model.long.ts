import t from 'tap'
import { runModel } from './model-long.ts'

t.test('any sequence of operations and crashes does what the model does', async (t) => {
  await runModel(1500, { print: (line) => t.comment(line) })
  t.pass('the store did what the model did')
})
