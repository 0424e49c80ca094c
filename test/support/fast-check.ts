/** fast-check, whose properties begin with the seed of the run. */
// oxlint-disable-next-line no-restricted-imports
import fc from 'fast-check'
import { TEST_SEED } from './seed.ts'

// What went wrong belongs beside the values that it went wrong for: an error's cause is not shown.
fc.configureGlobal({ seed: TEST_SEED, includeErrorInReport: true })

export default fc
