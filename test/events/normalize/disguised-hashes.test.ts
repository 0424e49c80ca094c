/** Hashes that do not look like one at first: as clients quote, prefix, encode and print them. */
import { createHash } from 'node:crypto'
import t from 'tap'
import { FIELDS, normalizeField } from '../../../src/events/normalize/field.ts'
import { HASHED_FIELD_NAMES } from '../../support/user-data-fields.ts'
import fc from '../../support/fast-check.ts'
import { checkTable, regionWith, show, type Row } from './table.ts'

const digest = (text: string) => createHash('sha256').update(text)
const hex = digest('anna.lind@shop.example').digest('hex')

t.test('a hash in disguise passes as the hash that it is, in every hashed field', async (t) => {
  const base64 = Buffer.from(hex, 'hex').toString('base64')
  const disguises = [
    hex.toUpperCase(), `"${hex}"`, `'${hex}'`, `“${hex}”`, `sha256:${hex}`, `SHA256:${hex.toUpperCase()}`, `sha-256:${hex}`, `sha256=${hex}`,
    `"sha256:${hex}"`, `sha256-${base64}`, `sha256:${base64}`, base64, `"${base64}"`, `0x${hex}`, `\\x${hex}`,
    `&quot;${hex}&quot;`, `\ufeff${hex}\u2069`, ` ${hex}\n`,
  ] // prettier-ignore
  for (const field of HASHED_FIELD_NAMES) {
    checkTable(
      t,
      field,
      disguises.map((typed): Row => [typed, `hash ${hex}`]),
    )
  }
})

t.test(
  '32 bytes in Base64 without padding are a hash, but of external_id an id like any other',
  async (t) => {
    const bytes = Buffer.from(hex, 'hex')
    for (const typed of [bytes.toString('base64url'), bytes.toString('base64').slice(0, -1)]) {
      checkTable(t, 'fn', [[typed, `hash ${hex}`]])
      checkTable(t, 'external_id', [[typed, typed], [`sha256-${typed}`, `hash ${hex}`]]) // prettier-ignore
    }
    checkTable(t, 'external_id', [[digest('null').digest('base64url'), '(placeholder)']])
  },
)

t.test('every 32 bytes in Base64 are a hash', async () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
  fc.assert(
    fc.property(bytes, fc.constantFrom('base64' as const, 'base64url' as const), (array, encoding) => {
      const buffer = Buffer.from(array)
      const found = show(normalizeField(FIELDS.fn, buffer.toString(encoding), regionWith({})))
      return found === `hash ${buffer.toString('hex')}`
    }),
  )
})

t.test('a hash of nothing is dropped in disguise, too', async (t) => {
  const nothings = [
    '',
    ' ',
    'null',
    'NULL',
    'None',
    'undefined',
    'nil',
    'N/A',
    'not set',
    '(not set)',
    '(null)',
    '<null>',
    '[object Object]',
  ]
  const rows = nothings.flatMap((nothing): Row[] => [
    [digest(nothing).digest('hex').toUpperCase(), '(placeholder)'],
    [digest(nothing).digest('base64'), '(placeholder)'],
    [`sha256:${digest(nothing).digest('hex')}`, '(placeholder)'],
  ])
  checkTable(t, 'em', rows)
  checkTable(t, 'external_id', [
    ...rows,
    ...['0', '-1', 'guest', 'Guest', 'anonymous', 'not logged in'].map((guest): Row => [
      digest(guest).digest('hex'),
      '(placeholder)',
    ]),
  ])
  checkTable(t, 'fn', [[digest('guest').digest('hex'), `hash ${digest('guest').digest('hex')}`]])
})

t.test('other hashes are dropped in disguise, too, but are ids like any other', async (t) => {
  const others = ['md5', 'sha1', 'sha224', 'sha384', 'sha512'].flatMap((name) => [
    createHash(name).update('x').digest('hex'),
    `"${createHash(name).update('x').digest('hex')}"`,
  ])
  others.push(createHash('md5').update('x').digest('base64'), createHash('sha1').update('x').digest('base64'))
  for (const typed of others) {
    checkTable(t, 'fn', [[typed, '(wrong_hash)']])
    checkTable(t, 'external_id', [[typed, typed]])
  }
})

t.test('what is nearly a hash is none', async (t) => {
  const rows = [hex.slice(1), `${hex}0`, `g${hex.slice(1)}`, `md5:${hex}`, `${hex} ${hex}`]
  for (const typed of rows) checkTable(t, 'external_id', [[typed, typed]])
})
