/** fast-check, whose properties begin with the seed of the run. */
// oxlint-disable-next-line no-restricted-imports
import fc from 'fast-check'
import { TEST_SEED } from './seed.ts'

fc.configureGlobal({ seed: TEST_SEED })

export default fc
