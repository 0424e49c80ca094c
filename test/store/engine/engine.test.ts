/** The engine as the front has it: its thread, from opening to its end. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { openEngine } from '../../../src/store/engine/engine.ts'

t.test('what is asked for after it closed is refused as by a relay that shuts down', async (t) => {
  const engine = await openEngine({
    settings: {
      database: { kind: 'sqlite', path: join(t.testdir(), 'relay.db') },
      masterKeys: { current: randomBytes(32) },
      storeLimitBytes: 1024 ** 3,
      reservedBytes: 0,
      maxEventAgeMs: 3_600_000,
      openedAtMs: Date.now(),
    },
    onProblem: ({ problem }) => t.fail(problem),
    onGroup: () => {},
  })
  await engine.store.backlog()
  await engine.close()
  await t.rejects(engine.store.backlog(), { code: 'SHUTTING_DOWN' })
})
