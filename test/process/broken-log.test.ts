/**
 * The relay as a process whose log is on a full disk: it goes on taking posts, and ends when it is told to. With readers that are
 * gone or stopped: broken-log.long.ts, and test/telemetry/log-output.test.ts for the log's output alone.
 */
import { constants, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { startWithLog } from './start-with-log.ts'

void t.test('a full disk under the log costs lines, which are counted, and nothing else', async (t) => {
  const relay = await startWithLog(t, openSync('/dev/full', constants.O_WRONLY))
  await relay.post()
  const dropped = async () => /^pinrelay_log_lines_dropped_total (\d+)$/m.exec(await relay.metrics())?.[1]
  while (Number(await dropped()) === 0) await delay(20)
  t.equal((await relay.post()).status, 401, 'it goes on')
  relay.signal('SIGTERM')
  t.strictSame(await relay.ended(), [0, null])
})
