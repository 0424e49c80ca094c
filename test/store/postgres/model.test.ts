import t from 'tap'
import { startPostgres } from '../../support/postgres.ts'
import { testAgainstModel } from '../model.ts'
import { layGroundOn } from './ground.ts'

t.test('any sequence of operations and crashes does what the model does', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.close())
  await testAgainstModel({ layGround: () => layGroundOn(server), runs: 30 })
  t.pass('the store did what the model did')
})
