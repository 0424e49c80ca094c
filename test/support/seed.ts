/**
 * The seed of the random tests of a run: another one each time, unless the environment sets it. test/run.ts gives all of
 * its processes the same, and prints it when a test failed.
 */
import { randomInt } from 'node:crypto'

/** 31 bits: fast-check takes signed integers. */
export const TEST_SEED = Number(process.env['TEST_SEED'] ?? randomInt(2 ** 31))
