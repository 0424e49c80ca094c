/**
 * The model test, for as long as one likes. Prints its seeds, so that a failure can be run again.
 *
 *   node test/store/sqlite/model-long.ts [RUNS] [SEED]
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { testAgainstModel } from '../model.ts'
import { layGroundIn } from './ground.ts'

export interface LongRunOptions {
  readonly seed?: number
  readonly print?: (line: string) => void
}

const PROGRESS_RUNS = 500
/** In memory the same files are written, and no run waits for a disk. A crash is shown by copies, not by the disk. */
const MEMORY = '/dev/shm'

/** Rejects with the shortest sequence that goes wrong, if one does. */
export async function runModel(runs: number, options: LongRunOptions = {}): Promise<void> {
  const { seed = Math.floor(Math.random() * 2 ** 31), print = printLine } = options
  const folder = await mkdtemp(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'pinrelay-model-'))
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
  print(`model test: ${runs} runs, seed ${seed} (and the next ${workers - 1})`)
  try {
    await Promise.all(
      Array.from({ length: workers }, (_, worker) => {
        const share = Math.floor(runs / workers) + Number(worker < runs % workers)
        return testAgainstModel({ layGround, runs: share, seed: seed + worker, onRun })
      }),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function printLine(line: string): void {
  process.stdout.write(`${line}\n`)
}

if (import.meta.main) {
  const [runs = '10000', seed] = process.argv.slice(2)
  await runModel(Number(runs), seed === undefined ? {} : { seed: Number(seed) })
}
