/** Random sequences of operations, deaths among them, against a store that is too simple to be wrong. */
import { runModel } from '../test/store/sqlite/run-model.ts'
import { claim, count, type Claim, type Context } from './scenario.ts'

export async function runModelScenario({ isShort, seed, say }: Context): Promise<readonly Claim[]> {
  const runs = isShort ? 200 : 10_000
  try {
    await runModel(runs, { seed, print: say })
    return [claim(true, `the store did what the model did, in ${count(runs)} runs`)]
  } catch (error) {
    return [claim(false, `the store did what the model did: ${String(error)}`)]
  }
}
