import { writeSync } from 'node:fs'
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

function fill(pipe: number): void {
  const page = Buffer.alloc(4096)
  try {
    for (;;) writeSync(pipe, page)
  } catch {
    // It takes no more.
  }
}
