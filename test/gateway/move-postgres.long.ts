/** Between cells that have a PostgreSQL each, the old one with two replicas. It has clocks of its own: this takes three minutes. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { ACCOUNT } from '../support/constants.ts'
import { gatewayMissing } from '../support/gateway.ts'
import { startPostgres } from '../support/postgres.ts'
import { setUp } from '../support/relay.ts'
import { CALLS_PER_MINUTE, LIMITS, moveAccount } from './move.ts'

void t.test(
  'so it is where each cell has a PostgreSQL, and one of them replicas',
  { skip: gatewayMissing() },
  async (t) => {
    const server = await startPostgres()
    t.teardown(() => server.close())
    const [keyOne, keyTwo] = [0, 1].map(() => randomBytes(32).toString('base64')) as [string, string]
    const inOne = {
      ...LIMITS,
      CELL: 'cell-1',
      MASTER_KEY: keyOne,
      DATABASE_URL: await server.createDatabase(),
    }
    const one = await setUp(t, inOne, { callsPerMinute: CALLS_PER_MINUTE, journal: { maxCalls: 0 } })
    const PINTEREST_API_URL = one.sandbox.url
    const other = await setUp(t, { ...inOne, PINTEREST_API_URL })
    const keys = { MASTER_KEY: keyTwo, MASTER_KEY_PREVIOUS: keyOne }
    const DATABASE_URL = await server.createDatabase()
    const two = await setUp(t, { ...LIMITS, CELL: 'cell-2', ...keys, DATABASE_URL, PINTEREST_API_URL })
    await two.admin('DELETE', `/accounts/${ACCOUNT}`)
    await moveAccount(t, { cells: [[one, other], [two]], pass: delay, paceMs: 200 })
  },
)
