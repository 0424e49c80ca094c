import { closeSync, readSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { openPipe, startWithLog } from './start-with-log.ts'

void t.test('SIGTERM ends a relay whose log has a reader that stopped', async (t) => {
  const { reader, writer } = openPipe(t)
  fill(reader)
  const relay = await startWithLog(t, writer)
  await relay.post()
  relay.signal('SIGTERM')
  t.strictSame(await relay.ended(), [0, null])
})

void t.test('SIGTERM ends a relay whose log has lost its reader a moment ago', async (t) => {
  const { reader, writer } = openPipe(t)
  const relay = await startWithLog(t, writer)
  relay.signal('SIGTERM')
  let log = ''
  while (!log.includes('"shutting down"') && !relay.hasEnded()) {
    await delay(5)
    log += readWhatIsThere(reader)
  }
  closeSync(reader)
  t.strictSame(await relay.ended(), [0, null])
})

function fill(pipe: number): void {
  const page = Buffer.alloc(4096)
  try {
    for (;;) writeSync(pipe, page)
  } catch {
    // It takes no more.
  }
}

function readWhatIsThere(pipe: number): string {
  const bytes = Buffer.alloc(65_536)
  try {
    return bytes.toString('latin1', 0, readSync(pipe, bytes))
  } catch {
    return ''
  }
}
