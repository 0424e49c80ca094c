import fc from 'fast-check'
import t from 'tap'
import { Compile } from 'typebox/compile'
import { prepareEvent } from '../../src/event/prepare.ts'
import { EventSchema } from '../../src/event/schema.ts'
import { HOSTILE_KEYS, HOSTILE_VALUES } from '../support/mutate.ts'
import { FULL, LIVE, TEST } from './raw-events.ts'

const strict = Compile(EventSchema)

/** Like a storefront's event, with some fields replaced, and perhaps some unknown ones. */
const rawEvent = fc
  .record(
    {
      event: spoiled(FULL),
      user_data: spoiled(FULL.user_data),
      custom_data: spoiled(FULL.custom_data),
      contents: fc.array(spoiled(FULL.custom_data.contents[0]), { maxLength: 3 }),
      app_info: spoiled(FULL.app_info),
      device_info: spoiled(FULL.device_info),
    },
    { requiredKeys: [] },
  )
  .map(({ event, contents, custom_data, ...nested }) => ({
    ...FULL,
    ...nested,
    custom_data: {
      ...(custom_data ?? FULL.custom_data),
      ...(contents === undefined ? undefined : { contents }),
    },
    ...event,
  }))

t.test('nothing at all makes it throw', async () => {
  const anything = fc.oneof(
    fc.anything({ withNullPrototype: true, withBigInt: true }),
    fc.jsonValue(),
    rawEvent,
  )
  const check = fc.property(anything, fc.boolean(), (raw, isTest) => {
    const { status } = prepareEvent(raw, isTest ? TEST : LIVE)
    return status === 'prepared' || status === 'refused'
  })
  fc.assert(check, { numRuns: 2000 })
})

t.test('what it prepares is strictly what Pinterest takes, and prepares to itself', async (t) => {
  let preparedCount = 0
  const check = fc.property(rawEvent, (raw) => {
    const prepared = prepareEvent(raw, TEST)
    if (prepared.status === 'refused') return true
    preparedCount += 1
    const event = JSON.parse(prepared.json) as unknown
    const again = prepareEvent(event, TEST)
    return (
      strict.Check(event) && holdsNoNull(event) && again.status === 'prepared' && again.json === prepared.json
    )
  })
  fc.assert(check, { numRuns: 3000 })
  t.ok(preparedCount > 100, `${preparedCount} of 3000 were prepared`)
})

t.test('refusals and warnings name paths, codes and rules, never a value', async () => {
  const canaries = fc.oneof(
    fc.constant('canary-text'),
    fc.constant('canary@person@example.com'),
    fc.constant('canary\ud800'),
    fc.constant('  CANARY  '),
    fc.constant(8_675_309.5),
    fc.constant('8675309,5'),
    fc.constant(['canary-text']),
    fc.constant({ canary_key: 'canary-text' }),
    fc.constant({ 'canary person@example.com': 1 }),
    fc.constant('https://shop.example/?epik=%canary'),
  )
  const check = fc.property(planted(FULL, canaries), fc.boolean(), (raw, isTest) => {
    const prepared = prepareEvent(raw, isTest ? TEST : LIVE)
    const shown =
      prepared.status === 'refused' ? { ...prepared, status: '' } : { warnings: prepared.warnings }
    // A key that looks like a field's name is shown: it is how a storefront finds its mistake.
    return !/canary|8675309/i.test(JSON.stringify(shown).replaceAll('canary_key', ''))
  })
  fc.assert(check, { numRuns: 2000 })
})

t.test('an event whose every field is wrong names none of the values', async (t) => {
  const all = JSON.parse(JSON.stringify(FULL), (_, value: unknown) =>
    typeof value === 'object' ? value : 'canary',
  ) as object
  for (const keep of [
    {},
    { event_name: 'checkout' },
    { event_name: 'checkout', action_source: 'web', event_time: FULL.event_time },
  ]) {
    t.notMatch(JSON.stringify(prepareEvent({ ...all, ...keep }, LIVE)), 'canary')
  }
})

t.test('depth and size cost no more than their share', async (t) => {
  const deep = JSON.parse(`${'{"em":['.repeat(4000)}1${']}'.repeat(4000)}`) as unknown
  for (const key of [...Object.keys(FULL), 'unknown'])
    t.ok(prepareEvent({ ...FULL, [key]: deep }, LIVE).status)
  const wide = Array.from({ length: 200_000 }, (_, index) => index)
  for (const key of Object.keys(FULL.custom_data)) {
    t.ok(prepareEvent({ ...FULL, custom_data: { [key]: wide } }, LIVE).status)
  }
  for (const key of Object.keys(FULL.user_data)) {
    t.ok(prepareEvent({ ...FULL, user_data: { ...FULL.user_data, [key]: wide } }, LIVE).status)
  }
})

function spoiled(fields: object) {
  const wrong = fc.oneof(
    fc.constantFrom(...HOSTILE_VALUES),
    fc.jsonValue(),
    fc.double(),
    fc.string({ unit: 'binary' }),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  )
  const key = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...Object.keys(fields)) },
    fc.constantFrom(...HOSTILE_KEYS),
  )
  return fc.array(fc.tuple(key, wrong), { maxLength: 3 }).map((entries) => assemble(fields, entries))
}

/** The event with the arbitrary's values in one place or many, at any level. */
function planted(event: object, values: fc.Arbitrary<unknown>) {
  const levels = ['', 'user_data', 'custom_data', 'app_info', 'device_info'] as const
  const plant = fc.constantFrom(...levels).chain((level) => {
    const fields = level === '' ? event : (event as Record<string, object>)[level]!
    const key = fc.constantFrom(...Object.keys(fields), 'unknown')
    return fc
      .array(fc.tuple(key, values), { minLength: 1, maxLength: 6 })
      .map((entries) => ({ level, fields, entries }))
  })
  return fc.array(plant, { minLength: 1, maxLength: 4 }).map((plants) => {
    let planted = event
    for (const { level, fields, entries } of plants) {
      const spoiled = assemble(fields, entries)
      planted = level === '' ? { ...planted, ...spoiled } : { ...planted, [level]: spoiled }
    }
    return planted
  })
}

/** With own keys even for `__proto__`, as JSON.parse would make them. */
function assemble(fields: object, entries: readonly (readonly [string, unknown])[]): object {
  return Object.fromEntries([...Object.entries(fields), ...entries])
}

function holdsNoNull(value: unknown): boolean {
  if (value === null) return false
  return typeof value !== 'object' || Object.values(value).every(holdsNoNull)
}
