/** A corrupt queue is replaced, in many rounds and with every page of the vault. */
import t from 'tap'
import { TEST_SEED } from '../../support/seed.ts'
import { makePattern } from './damaged.ts'
import { testFlipped } from './flipped.ts'
import { makeFolder } from '../../support/at-exit.ts'

const folder = makeFolder(t)
testFlipped(t, {
  pattern: await makePattern(folder),
  folder,
  rounds: 100,
  seed: TEST_SEED,
  vaultPages: (count) => Array.from({ length: count - 1 }, (_, index) => index + 1),
})
