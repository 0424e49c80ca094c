import t from 'tap'
import { prepareEvent } from '../../src/events/prepare.ts'
import { neverThrows, preparesStrictly, quotesNoValue } from './properties.ts'
import { FULL, LIVE } from './raw-events.ts'

t.test('nothing at all makes it throw', async () => neverThrows(200))

t.test('what it prepares is strictly what Pinterest takes, and prepares to itself', async (t) =>
  preparesStrictly(t, 300),
)

t.test('reasons and warnings name paths, codes and rules, never a value', async () => quotesNoValue(300))

t.test('an event whose every field is wrong names none of the values', async (t) => {
  const all = JSON.parse(JSON.stringify(FULL), (_, value: unknown) =>
    typeof value === 'object' ? value : 'canary',
  ) as object
  for (const keep of [
    {},
    { event_name: 'checkout' },
    { event_name: 'checkout', action_source: 'web', event_time: FULL.event_time },
  ]) {
    // Ids are the sender's own: see trail-ids.test.ts.
    const prepared = { ...prepareEvent({ ...all, ...keep }, LIVE), trailIds: {} }
    t.notMatch(JSON.stringify(prepared), 'canary')
  }
})

t.test('depth and size cost no more than their share', async (t) => {
  const deep = JSON.parse(`${'{"em":['.repeat(4000)}1${']}'.repeat(4000)}`) as unknown
  for (const key of [...Object.keys(FULL), 'unknown'])
    t.ok(prepareEvent({ ...FULL, [key]: deep }, LIVE).status)
  const wide = Array.from({ length: 50_000 }, (_, index) => index)
  for (const key of Object.keys(FULL.custom_data)) {
    t.ok(prepareEvent({ ...FULL, custom_data: { [key]: wide } }, LIVE).status)
  }
  for (const key of Object.keys(FULL.user_data)) {
    t.ok(prepareEvent({ ...FULL, user_data: { ...FULL.user_data, [key]: wide } }, LIVE).status)
  }
})
