import t from 'tap'
import { FILTERED, WARNINGS } from '../../src/events/reasons.ts'
import { readSource } from '../support/source.ts'

t.test('each warning is given, and each reason for which an event is filtered', async (t) => {
  const source = readSource('events/reasons.ts')
  for (const word of [...Object.keys(WARNINGS), ...Object.keys(FILTERED)])
    t.ok(source.includes(`'${word}'`), `${word}: nothing gives it`)
})
