/** An engine's thread that opens, and dies of what it is asked for next. */
import { parentPort } from 'node:worker_threads'
import { connectCalls } from '../../../src/store/engine/calls.ts'

connectCalls(parentPort!, {
  open: () => ['backlog', 'totals'],
  backlog: () =>
    new Promise(() => {
      setImmediate(() => {
        throw new Error('the disk is gone')
      })
    }),
})
