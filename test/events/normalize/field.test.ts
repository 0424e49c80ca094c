import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import t from 'tap'
import { FIELDS, normalizeField } from '../../../src/events/normalize/field.ts'
import { HASHED_FIELD_NAMES, TEXT_FIELD_NAMES } from '../../support/user-data-fields.ts'
import { checkTable, type Row } from './table.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const everyPlaceholder = ['null', 'undefined', 'none', 'nan', 'n/a', 'na', '-', 'unknown']
const placeholdersOf: Readonly<Record<string, readonly string[]>> = {
  fn: ['undefined', 'n/a', '-', 'unknown'],
  ln: ['undefined', 'n/a', '-', 'unknown'],
  ct: ['undefined', 'n/a', '-', 'unknown'],
  st: everyPlaceholder.filter((word) => word !== 'na'),
  country: everyPlaceholder.filter((word) => word !== 'na'),
}

const capitalize = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1)

t.test('a hash passes in any case of letters, in every hashed field', async (t) => {
  const hash = sha256('person@example.com')
  for (const field of HASHED_FIELD_NAMES) {
    checkTable(t, field, [
      [hash, `hash ${hash}`],
      [hash.toUpperCase(), `hash ${hash}`],
      [` ${hash}\u200b\n`, `hash ${hash}`],
    ])
  }
})

t.test('what was read in one country is read anew in another, and as often as it comes', async (t) => {
  for (const country of ['us', 'de', 'us', undefined, 'de']) {
    checkTable(t, 'zp', [['02139-1234', country === 'de' ? '021391234' : '02139']], { country })
    checkTable(t, 'st', [['BY', country === 'us' ? '(unreadable)' : 'by']], { country })
  }
  const cities = Array.from({ length: 5000 }, (_, number) => `City ${number}`)
  for (const _ of ['first', 'again']) {
    checkTable(
      t,
      'ct',
      cities.map((city): Row => [city, city.toLowerCase().replace(' ', '')]),
    )
  }
})

t.test('a hash of nothing is dropped, also if it was hashed twice', async (t) => {
  for (const field of HASHED_FIELD_NAMES) {
    const words = placeholdersOf[field] ?? everyPlaceholder
    const nothing = ['', ' ', '00000000-0000-0000-0000-000000000000', ...words]
    const spellings = nothing.flatMap((word) => [word, word.toUpperCase(), capitalize(word)])
    checkTable(
      t,
      field,
      spellings.flatMap((word): Row[] => [
        [sha256(word).toUpperCase(), '(placeholder)'],
        [sha256(sha256(word)), '(placeholder)'],
      ]),
    )
  }
  // From sha256sum: an empty text, NULL, Unknown's lower case.
  checkTable(t, 'em', [
    ['e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '(placeholder)'],
    ['fb329000228cc5a24c264c57139de8bf854fc86fc18bf1c04ab61a2b5cb4b921', '(placeholder)'],
    ['b23a6a8439c0dde5515893e7c90c1e3233b8616e634470f20dc4928bcf3609bc', '(placeholder)'],
  ])
})

t.test('so are hashes of what a program writes for nothing', async (t) => {
  for (const field of HASHED_FIELD_NAMES) {
    checkTable(
      t,
      field,
      ['\n', '""', '[]', '{}', '0'].map((nothing): Row => [sha256(nothing), '(placeholder)']),
    )
  }
})

t.test('the hash of a name that only looks like nothing passes', async (t) => {
  for (const field of ['fn', 'ln', 'ct'] as const) {
    const hash = sha256('null')
    checkTable(t, field, [[hash, `hash ${hash}`]])
  }
  checkTable(t, 'country', [[sha256('na'), `hash ${sha256('na')}`]])
})

t.test('MD5 and SHA-1 are dropped, but are ids like any other in external_id', async (t) => {
  const md5 = 'ba1f2511fc30423bdbb183fe33f3dd0f'
  const sha1 = 'A8FDC205A9F19CC1C7507A60C4F01B13D11D7FD0'
  for (const field of HASHED_FIELD_NAMES) {
    const isId = field === 'external_id'
    checkTable(t, field, [
      [md5, isId ? md5 : '(wrong_hash)'],
      [sha1, isId ? sha1 : '(wrong_hash)'],
    ])
  }
  checkTable(t, 'em', [
    ['a'.repeat(63), '(unreadable)'],
    ['g'.repeat(64), '(unreadable)'],
  ])
  // Of an empty text, they are those of all guests.
  checkTable(t, 'external_id', [
    ['d41d8cd98f00b204e9800998ecf8427e', '(placeholder)'],
    ['DA39A3EE5E6B4B0D3255BFEF95601890AFD80709', '(placeholder)'],
  ])
})

t.test('placeholders are dropped by field, in any case', async (t) => {
  for (const field of [...HASHED_FIELD_NAMES, ...TEXT_FIELD_NAMES]) {
    const words = placeholdersOf[field] ?? everyPlaceholder
    checkTable(
      t,
      field,
      words.flatMap((word): Row[] => [
        [word, '(placeholder)'],
        [word.toUpperCase(), '(placeholder)'],
        [` ${capitalize(word)}\u200b`, '(placeholder)'],
      ]),
    )
  }
})

t.test('an external id is trimmed and nothing else', async (t) => {
  checkTable(t, 'external_id', [
    [' Cust-00042 ', 'Cust-00042'],
    ['ABC def', 'ABC def'],
    [42, '42'],
    ['00042', '00042'],
    ['Nobody', 'Nobody'],
    ['00000000-0000-0000-0000-000000000000', '(placeholder)'],
  ])
})

t.test('an advertising id is a UUID in lower case', async (t) => {
  checkTable(t, 'hashed_maids', [
    ['38400000-8CF0-11BD-B23E-10B96E40000D', '38400000-8cf0-11bd-b23e-10b96e40000d'],
    ['38400000-8cf0-11bd-b23e-10b96e40000d', '38400000-8cf0-11bd-b23e-10b96e40000d'],
    ['00000000-0000-0000-0000-000000000000', '(placeholder)'],
    ['384000008cf011bdb23e10b96e40000d', '(wrong_hash)'],
    ['{38400000-8cf0-11bd-b23e-10b96e40000d}', '(unreadable)'],
    ['not-a-uuid', '(unreadable)'],
  ])
})

t.test('texts are trimmed, and a hash among them is an id', async (t) => {
  const agent = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)  AppleWebKit/605.1.15'
  checkTable(t, 'client_user_agent', [[` ${agent}\n`, agent]])
  checkTable(t, 'click_id', [
    ['dj0yJnU9QUJD', 'dj0yJnU9QUJD'],
    ['D41D8CD98F00B204E9800998ECF8427E', 'D41D8CD98F00B204E9800998ECF8427E'],
    ['AB'.repeat(32), 'AB'.repeat(32)],
  ])
  checkTable(t, 'partner_id', [[12_345, '12345']])
})

t.test('the answers do not depend on the locale', async (t) => {
  const typed = [
    ['fn', 'IĞDIR'],
    ['ct', 'ISPARTA İLİ'],
    ['em', 'INFO@SITE.COM'],
    ['st', 'ILLINOIS'],
    ['country', 'INDIA'],
    ['zp', 'SW1I 1II'],
  ] as const
  const script = `
    const { FIELDS, normalizeField } = await import('./src/events/normalize/field.ts')
    const region = { country: undefined, dobFormat: undefined, nowMs: 0 }
    const normalized = ${JSON.stringify(typed)}.map(([name, text]) => normalizeField(FIELDS[name], text, region))
    console.log(JSON.stringify({ locale: Intl.NumberFormat().resolvedOptions().locale, normalized }))`
  const { PATH, NODE_COMPILE_CACHE = '' } = process.env
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { PATH, NODE_COMPILE_CACHE, LC_ALL: 'tr_TR.UTF-8' },
    encoding: 'utf8',
  })
  const turkish = JSON.parse(output) as { locale: string; normalized: unknown }
  t.equal(turkish.locale, 'tr-TR', 'the locale takes effect')
  const region = { country: undefined, dobFormat: undefined, nowMs: 0 }
  t.strictSame(
    turkish.normalized,
    typed.map(([name, text]) => normalizeField(FIELDS[name], text, region)),
  )
})
