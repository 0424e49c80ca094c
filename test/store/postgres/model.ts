import t from 'tap'
import { startPostgres } from '../../support/postgres.ts'
import { testAgainstModel } from '../model.ts'
import { layGroundOn } from './ground.ts'

/** Without a seed it takes that of the run. */
export function testModel(options: { readonly runs: number; readonly seed?: number }): void {
  t.test('any sequence of operations and crashes does what the model does', async (t) => {
    const server = await startPostgres()
    t.teardown(() => server.close())
    await testAgainstModel({ layGround: () => layGroundOn(server), ...options })
    t.pass('the store did what the model did')
  })
}
