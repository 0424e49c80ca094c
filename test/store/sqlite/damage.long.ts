/** A corrupt queue is replaced, in many rounds and with every page of the vault. `DAMAGE_SEED=1` repeats a run. */
import t from 'tap'
import { makePattern } from './damaged.ts'
import { testFlipped } from './flipped.ts'
import { makeFolder } from './ground.ts'

const folder = makeFolder(t)
testFlipped(t, {
  pattern: await makePattern(folder),
  folder,
  rounds: 150,
  seed: Number(process.env['DAMAGE_SEED'] ?? Date.now() % 1_000_000),
  vaultPages: (count) => Array.from({ length: count - 1 }, (_, index) => index + 1),
})
