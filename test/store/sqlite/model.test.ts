import { join } from 'node:path'
import t from 'tap'
import { testAgainstModel } from '../model.ts'
import { makeFolder } from '../../support/at-exit.ts'
import { layGroundIn } from './ground.ts'

t.test('any sequence of operations and crashes does what the model does', async (t) => {
  const folder = makeFolder(t)
  let grounds = 0
  const layGround = async () => layGroundIn(join(folder, `${grounds++}`))
  await testAgainstModel({ layGround, runs: 10, seed: 1 })
  t.pass('the store did what the model did')
})
