/** What holds for every raw event, tried as often as asked for. */
import type { Test } from 'tap'
import { Compile } from 'typebox/schema'
import { prepareEvent } from '../../src/events/prepare.ts'
import { EventSchema } from '../../src/events/schema.ts'
import { anyText } from '../support/any-text.ts'
import { HOSTILE_KEYS, HOSTILE_VALUES } from '../support/mutate.ts'
import { FULL, LIVE, TEST } from './raw-events.ts'
import fc from '../support/fast-check.ts'

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

export function neverThrows(runs: number): void {
  const anything = fc.oneof(
    fc.anything({ withNullPrototype: true, withBigInt: true }),
    fc.jsonValue(),
    rawEvent,
  )
  const check = fc.property(anything, fc.boolean(), (raw, isTest) => {
    const { status } = prepareEvent(raw, isTest ? TEST : LIVE)
    return status === 'prepared' || status === 'invalid'
  })
  fc.assert(check, { numRuns: runs })
}

export function preparesStrictly(t: Test, runs: number): void {
  let preparedCount = 0
  const check = fc.property(rawEvent, (raw) => {
    const prepared = prepareEvent(raw, TEST)
    if (prepared.status !== 'prepared') return true
    preparedCount += 1
    const event = JSON.parse(prepared.json) as unknown
    const again = prepareEvent(event, TEST)
    return (
      strict.Check(event) && holdsNoNull(event) && again.status === 'prepared' && again.json === prepared.json
    )
  })
  fc.assert(check, { numRuns: runs })
  t.ok(preparedCount > runs / 30, `${preparedCount} of ${runs} were prepared`)
}

export function quotesNoValue(runs: number): void {
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
      prepared.status === 'invalid'
        ? { ...prepared, status: '', trailIds: {}, eventTimeS: 0 }
        : { warnings: prepared.warnings }
    // A key that looks like a field's name is shown: it is how a storefront finds its mistake.
    return !/canary|8675309/i.test(JSON.stringify(shown).replaceAll('canary_key', ''))
  })
  fc.assert(check, { numRuns: runs })
}

function spoiled(fields: object) {
  const wrong = fc.oneof(
    fc.constantFrom(...HOSTILE_VALUES),
    fc.jsonValue(),
    fc.double(),
    anyText(),
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
