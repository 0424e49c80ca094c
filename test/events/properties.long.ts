import t from 'tap'
import { neverThrows, preparesStrictly, quotesNoValue } from './properties.ts'

t.test('nothing at all makes it throw', async () => neverThrows(20_000))

t.test('what it prepares is strictly what Pinterest takes, and prepares to itself', async (t) =>
  preparesStrictly(t, 30_000),
)

t.test('reasons and warnings name paths, codes and rules, never a value', async () => quotesNoValue(20_000))
