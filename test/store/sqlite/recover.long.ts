/** What can be read of a damaged file, for a larger file and more damage. */
import t from 'tap'
import { TEST_SEED } from '../../support/seed.ts'
import { makePattern } from './damaged.ts'
import { makeFolder } from '../../support/at-exit.ts'
import { testSpoiled } from './spoiled.ts'

const folder = makeFolder(t)
testSpoiled(t, { pattern: await makePattern(folder), folder, rounds: 100, nthPage: 1, seed: TEST_SEED })
