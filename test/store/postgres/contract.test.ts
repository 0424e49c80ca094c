import t from 'tap'
import { testStore } from '../../contract/store.ts'
import { startPostgres } from '../../support/postgres.ts'
import { layGround } from './ground.ts'

const server = await startPostgres()
t.teardown(() => server.close())
testStore(t, (t) => layGround(t, server))
