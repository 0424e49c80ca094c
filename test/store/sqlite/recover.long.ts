/** What can be read of a damaged file, for a larger file and more damage. `DAMAGE_SEED=1` repeats a run. */
import t from 'tap'
import { makePattern } from './damaged.ts'
import { makeFolder } from './ground.ts'
import { testSpoiled } from './spoiled.ts'

const folder = makeFolder(t)
const seed = Number(process.env['DAMAGE_SEED'] ?? Date.now() % 1_000_000)
testSpoiled(t, { pattern: await makePattern(folder), folder, rounds: 200, nthPage: 1, seed })
