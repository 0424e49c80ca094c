import assert from 'node:assert/strict'
import {
  type CountryCode,
  getCountries,
  getCountryCallingCode,
  getExampleNumber,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/max'
import examples from 'libphonenumber-js/mobile/examples'
import metadata from 'libphonenumber-js/max/metadata'
import t from 'tap'
import {
  dialledIn,
  international,
  national,
  parsePossible,
  judgeDialled,
  judgeInternational,
} from '../../../src/events/normalize/ph.ts'
import fc from '../../support/fast-check.ts'

const codes = [...Object.keys(metadata.country_calling_codes), ...Object.keys(metadata.nonGeographic)]
const digits = fc.stringMatching(/^\d{0,18}$/)
const callingCode = fc.constantFrom(...codes)
const country = fc.constantFrom(...getCountries())

t.test('the shortcut for international numbers answers as the library does', async () => {
  const number = fc.oneof(
    digits,
    fc.tuple(callingCode, digits).map(([code, rest]) => code + rest),
    fc.tuple(callingCode, fc.stringMatching(/^[0189]{1,3}\d{5,10}$/)).map(([code, rest]) => code + rest),
  )
  fc.assert(
    fc.property(number, (typed) => {
      assert.equal(international(typed), parsePossible(`+${typed}`), typed)
    }),
    { numRuns: 1000 },
  )
})

t.test('the shortcut for national numbers answers as the library does', async () => {
  const number = fc.oneof(digits, fc.stringMatching(/^[0189]{0,3}\d{5,11}$/))
  fc.assert(
    fc.property(number, country, (typed, region) => {
      assert.equal(national(typed, region), parsePossible(typed, region))
    }),
    { numRuns: 1000 },
  )
})

t.test('the shortcut for numbers without their + answers as the library does', async () => {
  const check = (country: CountryCode, typed: string) => {
    const parsed = parsePhoneNumberFromString(`+${typed}`)
    const isOwn = typed.startsWith(getCountryCallingCode(country)) && parsed?.isValid() === true
    const expected = isOwn ? parsed.number.slice(1) : national(typed, country)
    assert.equal(dialledIn(country, typed), expected, `${typed} in ${country}`)
  }
  const rest = fc.oneof(digits, fc.stringMatching(/^[0-9]{6,11}$/))
  fc.assert(fc.property(country, rest, (region, typed) => check(region, getCountryCallingCode(region) + typed)), { numRuns: 3000 }) // prettier-ignore
  for (const region of getCountries()) {
    const example = getExampleNumber(region, examples)
    if (example === undefined) continue
    const { number, nationalNumber, countryCallingCode } = example
    for (const typed of [number.slice(1), nationalNumber, `${countryCallingCode}0${nationalNumber}`, `${number.slice(1)}0`]) check(region, typed) // prettier-ignore
  }
})

t.test('every calling code and length gets the answer of the library', async () => {
  for (const code of codes) {
    for (let length = 1; length <= 17; length++) {
      const typed = code + '5'.repeat(length)
      assert.equal(international(typed), parsePossible(`+${typed}`), typed)
    }
  }
})

t.test('usual numbers take the shortcut', async (t) => {
  const shortcuts: readonly (readonly [string, CountryCode | undefined, string])[] = [
    ['14155552671', undefined, '14155552671'],
    ['442079460958', undefined, '442079460958'],
    ['4402079460958', undefined, '442079460958'],
    ['4915112345678', undefined, '4915112345678'],
    ['390669812345', undefined, '390669812345'],
    ['1415555267', undefined, 'impossible'],
    ['0442079460958', undefined, 'impossible'],
    ['4155552671', 'US', '14155552671'],
    ['015112345678', 'DE', '4915112345678'],
    ['02079460958', 'GB', '442079460958'],
    ['89161234567', 'RU', '79161234567'],
    ['0669812345', 'IT', '390669812345'],
    ['0412345678', 'AU', '61412345678'],
    ['09012345678', 'JP', '819012345678'],
    ['55526', 'US', 'impossible'],
    ['01115234567', 'AR', 'unsure'],
    ['14155552671', 'US', 'unsure'],
    ['011442079460958', 'US', 'unsure'],
  ]
  for (const [typed, country, expected] of shortcuts) {
    const judgement = country === undefined ? judgeInternational(typed) : judgeDialled(typed, country)
    t.equal(judgement === null ? 'impossible' : (judgement ?? 'unsure'), expected, `${typed} ${country}`)
  }
})

t.test('the examples of every country take either way alike', async () => {
  for (const country of getCountries()) {
    const example = getExampleNumber(country, examples)
    const [prefix = ''] = /^[089]?/.exec(example?.formatNational().replace(/\D/g, '') ?? '') ?? []
    for (const typed of [
      example?.nationalNumber ?? '',
      `${prefix}${example?.nationalNumber}`,
      `0${example?.nationalNumber}`,
    ]) {
      assert.equal(national(typed, country), parsePossible(typed, country), `${typed} in ${country}`)
      const abroad = `${example?.countryCallingCode}${typed}`
      assert.equal(international(abroad), parsePossible(`+${abroad}`), abroad)
    }
  }
})
