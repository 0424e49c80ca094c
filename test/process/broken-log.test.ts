/** The relay as a process whose log nobody reads: it goes on taking posts, and ends when it is told to. */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { openPipe, startWithLog } from './start-with-log.ts'

void t.test('SIGTERM ends a relay whose log has lost its reader a moment ago', async (t) => {
  const { reader, writer } = openPipe(t)
  const relay = await startWithLog(t, writer)
  relay.signal('SIGTERM')
  let log = ''
  while (!log.includes('"shutting down"')) {
    await delay(5)
    log += readWhatIsThere(reader)
  }
  closeSync(reader)
  t.strictSame(await relay.ended(), [0, null])
})

void t.test('a full disk under the log costs lines, which are counted, and nothing else', async (t) => {
  const relay = await startWithLog(t, openSync('/dev/full', constants.O_WRONLY))
  await relay.post()
  const dropped = async () => /^pinrelay_log_lines_dropped_total (\d+)$/m.exec(await relay.metrics())?.[1]
  while (Number(await dropped()) === 0) await delay(20)
  t.equal((await relay.post()).status, 401, 'it goes on')
  relay.signal('SIGTERM')
  t.strictSame(await relay.ended(), [0, null])
})

function readWhatIsThere(pipe: number): string {
  const bytes = Buffer.alloc(65_536)
  try {
    return bytes.toString('latin1', 0, readSync(pipe, bytes))
  } catch {
    return ''
  }
}
