/** Between cells that have a SQLite each, by a clock that the test moves on. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createManualClock } from '../support/clock.ts'
import { ACCOUNT } from '../support/constants.ts'
import { gatewayMissing } from '../support/gateway.ts'
import { setUp } from '../support/relay.ts'
import { CALLS_PER_MINUTE, LIMITS, moveAccount } from './move.ts'

void t.test(
  'an account that moves loses no event, and is within its call limit throughout',
  { skip: gatewayMissing() },
  async (t) => {
    const clock = createManualClock(Date.now())
    const [keyOne, keyTwo] = [0, 1].map(() => randomBytes(32).toString('base64')) as [string, string]
    const sandboxOptions = { now: clock.wallMs, callsPerMinute: CALLS_PER_MINUTE, journal: { maxCalls: 0 } }
    const one = await setUp(t, { ...LIMITS, CELL: 'cell-1', MASTER_KEY: keyOne }, sandboxOptions, { clock })
    const own = { CELL: 'cell-2', MASTER_KEY: keyTwo, MASTER_KEY_PREVIOUS: keyOne }
    const two = await setUp(t, { ...LIMITS, ...own, PINTEREST_API_URL: one.sandbox.url }, {}, { clock })
    await two.admin('DELETE', `/accounts/${ACCOUNT}`)
    await moveAccount(t, {
      cells: [[one], [two]],
      pass: (ms) => clock.advance(ms),
      paceMs: 20,
    })
  },
)
