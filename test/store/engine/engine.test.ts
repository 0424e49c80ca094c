/** The engine as the front has it: its thread, from opening to its end. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { openEngine, type EngineOptions } from '../../../src/store/engine/engine.ts'
import type { StoreProblem } from '../../../src/store/engine/operations.ts'

const open = (t: Test, more: Pick<EngineOptions, 'onProblem' | 'startThread'>) =>
  openEngine({
    settings: {
      database: { kind: 'sqlite', path: join(t.testdir(), 'relay.db') },
      masterKeys: { current: randomBytes(32) },
      storeLimitBytes: 1024 ** 3,
      reservedBytes: 0,
      hasTrail: true,
      maxEventAgeMs: 3_600_000,
    },
    onGroup: () => {},
    ...more,
  })

t.test('what is asked for after it closed is refused as by a relay that shuts down', async (t) => {
  const engine = await open(t, { onProblem: ({ problem }) => t.fail(problem) })
  await engine.store.backlog()
  await engine.close()
  await t.rejects(engine.store.backlog(), { code: 'SHUTTING_DOWN' })
})

t.test('when its thread dies that is reported once, and everything rejects, then and later', async (t) => {
  const problems: StoreProblem[] = []
  const startThread = () => new Worker(new URL('./dying-thread.ts', import.meta.url))
  const engine = await open(t, { startThread, onProblem: (problem) => void problems.push(problem) })
  await t.rejects(engine.store.backlog(), { code: 'STORE_UNAVAILABLE' })
  await t.rejects(engine.store.totals({}), { code: 'STORE_UNAVAILABLE' })
  t.same(problems, [{ problem: 'engine_died', message: 'the disk is gone' }])
})
