/**
 * Loaded by `--import` into every process of the benchmark, so that the delay of their event loops is measured alike. Asked
 * over IPC: `reset` begins anew, `read` answers with the p99 in milliseconds. The timer's own interval is taken off.
 * JavaScript, so that a contender that is JavaScript loads nothing for types.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const RESOLUTION_MS = 2

if (isMainThread && process.send !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  process.on('message', (message) => {
    if (message === 'reset') delay.reset()
    if (message === 'read') process.send(Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS))
  })
  // A process that gets a signal to stop must not stay for this.
  process.channel?.unref()
}
