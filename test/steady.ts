/**
 * `npm run test:steady`: all tests, five times beside two busy loops and three times with one process at a time. What
 * fails now and then, or only on a busy machine, fails here.
 */
import { Worker } from 'node:worker_threads'
import { startNode, type NodeProcess } from './support/node-process.ts'

const RUNS = [
  { name: 'beside two busy loops', times: 5, busyLoops: 2, args: [] },
  { name: 'one process at a time', times: 3, busyLoops: 0, args: ['--jobs=1'] },
]

const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([, value]) => value !== undefined),
) as Record<string, string>
let tests: NodeProcess | undefined
let isInterrupted = false
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    isInterrupted = true
    tests?.signal('SIGTERM')
  })
let failed = 0
for (const { name, times, busyLoops, args } of RUNS) {
  const loops = Array.from({ length: busyLoops }, () => new Worker('for (;;);', { eval: true }))
  for (let run = 1; run <= times; run += 1) {
    const startedAt = performance.now()
    tests = startNode({ words: ['test/run.ts', ...args], environment: ENVIRONMENT })
    const lines: string[] = []
    tests.onLine((line) => void lines.push(line))
    const code = await tests.ended
    if (isInterrupted) process.exit(130)
    const seconds = Math.round((performance.now() - startedAt) / 1000)
    process.stdout.write(`${name}, run ${run} of ${times}: ${lines.at(-1)} in ${seconds} s\n`)
    if (code === 0) continue
    failed += 1
    process.stdout.write(
      `${lines.slice(lines.findLastIndex((line) => line.startsWith('✓')) + 1).join('\n')}\n`,
    )
  }
  await Promise.all(loops.map((loop) => loop.terminate()))
}
const total = RUNS.reduce((sum, { times }) => sum + times, 0)
process.stdout.write(`${total - failed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1
