/**
 * The model test, as many runs as are asked for. The seed, which it prints, brings a failure back.
 *
 *   [TEST_SEED=…] npx node test/store/sqlite/run-model.ts [RUNS]
 */
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { openFolder } from '../../support/at-exit.ts'
import { TEST_SEED } from '../../support/seed.ts'
import { testAgainstModel } from '../model.ts'
import { layGroundIn } from './ground.ts'

export interface LongRunOptions {
  /** The workers take this one and those that follow it. */
  readonly seed: number
  readonly print: (line: string) => void
}

const PROGRESS_RUNS = 500
/** In memory the same files are written, and no run waits for a disk. A crash is shown by copies, not by the disk. */
const MEMORY = '/dev/shm'

/** Rejects with the shortest sequence that goes wrong, if one does. */
export async function runModel(runs: number, { seed, print }: LongRunOptions): Promise<void> {
  const { path: folder, remove } = openFolder('model', existsSync(MEMORY) ? MEMORY : undefined)
  // Each opening starts a thread, whose modules need not be compiled anew.
  process.env['NODE_COMPILE_CACHE'] ??= join(folder, 'compiled')
  const startedMs = performance.now()
  let grounds = 0
  let done = 0
  const layGround = async () => layGroundIn(join(folder, `${grounds++}`))
  const onRun = () => {
    if (++done % PROGRESS_RUNS !== 0) return
    print(`${done} of ${runs} runs, ${Math.round((performance.now() - startedMs) / 1000)} s`)
  }
  // Most of the work is the stores', each of which has a thread of its own.
  const workers = Math.max(1, Math.min(runs, availableParallelism()))
  print(`${runs} runs of ${workers} workers, seed ${seed}`)
  const ended = await Promise.allSettled(
    Array.from({ length: workers }, (_, worker) => {
      const share = Math.floor(runs / workers) + Number(worker < runs % workers)
      return testAgainstModel({ layGround, runs: share, seed: seed + worker, onRun })
    }),
  )
  remove()
  for (const end of ended) if (end.status === 'rejected') throw end.reason
}

if (import.meta.main) {
  const print = (line: string) => void process.stdout.write(`${line}\n`)
  await runModel(Number(process.argv[2] ?? 10_000), { seed: TEST_SEED, print })
}
