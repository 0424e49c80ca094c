import t from 'tap'
import { cleanText, toNfc } from '../../../src/events/normalize/clean-text.ts'
import { show } from './table.ts'
import fc from '../../support/fast-check.ts'

t.test('text and numbers are values, nothing else is', async (t) => {
  t.equal(show(cleanText('text')), 'text')
  t.equal(show(cleanText(42)), '42')
  t.equal(show(cleanText(-0)), '0')
  for (const value of [true, false, null, undefined, {}, [], ['x'], 1n, Symbol('x'), () => 'x', new Date()]) {
    t.equal(show(cleanText(value)), '(wrong_type)')
  }
})

t.test('a number that JSON cannot carry exactly is nobody’s id', async (t) => {
  for (const value of [NaN, Infinity, -Infinity, 2 ** 53, 1e20, 1e21]) {
    t.equal(show(cleanText(value)), '(wrong_type)')
  }
  t.equal(show(cleanText(Number.MAX_SAFE_INTEGER)), '9007199254740991')
})

t.test('text that lost a letter on its way is dropped', async (t) => {
  const broken = [
    '\ud800',
    'a\udc00b',
    '\udc00\ud800',
    'Stra\ufffde',
    '\ufffd',
    'Ko&#xfffd;ln',
    '&#xd800;',
    '&#0;',
  ]
  for (const text of broken) t.equal(show(cleanText(text)), '(broken_text)', text)
  t.equal(show(cleanText('🙂')), '🙂')
})

t.test('invisible characters and white space at the ends go', async (t) => {
  const invisible =
    '\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad' +
    '\u0000\u001b\u007f\u009f\u061c\u2066\u2069\u180e\ufe0e\ufe0f\u180b\u034f\u115f\u1160\u3164\uffa0\ufffc\ufff9\u001f'
  for (const character of invisible) t.equal(show(cleanText(`a${character}b`)), 'ab')
  const spaces =
    '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'
  for (const space of spaces)
    t.equal(show(cleanText(`${space}${space}a${space}b${space}`)), `a${space.normalize('NFC')}b`)
  t.equal(show(cleanText(`\u0085 \u0085a\u0085 \u0085`)), 'a')
  t.equal(show(cleanText('\u200b \u200b a')), 'a')
  for (const text of ['', '   ', invisible, spaces, '\u0085', '\u0085\u0085', invisible + spaces]) {
    t.equal(show(cleanText(text)), '(placeholder)')
  }
})

t.test('composed and decomposed letters are one text', async (t) => {
  t.equal(show(cleanText('e\u0301')), 'é')
  t.equal(show(cleanText('e\u200b\u0301')), 'é')
  t.equal(show(cleanText('\u212b')), 'å'.toUpperCase())
  t.equal(show(cleanText('\u1112\u1161\u11ab')), '한')
})

t.test('the work of one value is bounded', async (t) => {
  t.equal(show(cleanText('x'.repeat(4096))), 'x'.repeat(4096))
  t.equal(show(cleanText('x'.repeat(4097))), '(too_long)')
  t.equal(toNfc(`a${'\u0301'.repeat(30)}`)?.length, 30)
  t.equal(toNfc(`a${'\u0301'.repeat(31)}`), undefined)
  t.equal(show(cleanText(`a${'\u0345'.repeat(2000)}${'\u0334'.repeat(2000)}`)), '(unreadable)')
})

t.test('marks are counted from the beginning of a run, with the same answers', async () => {
  const mark = fc.constantFrom('\u0301', '\u0316', '\u20dd', '\u{1d165}')
  const run = fc.array(mark, { minLength: 28, maxLength: 33 }).map((marks) => marks.join(''))
  fc.assert(
    fc.property(fc.array(fc.oneof(run, mark, fc.constantFrom('a', ' ', '😀')), { maxLength: 6 }), (parts) => {
      const text = parts.join('')
      return (toNfc(text) === undefined) === /\p{M}{31}/u.test(text)
    }),
  )
})

t.test('of the code points of Unicode, what nobody sees goes and the rest stays', async (t) => {
  const goes =
    /[\p{gc=Cf}\p{VS}\u034f\u115f\u1160\u3164\uffa0\ufffc\u{e0000}-\u{e007f}]|(?!\p{White_Space})\p{gc=Cc}/u
  const wrong: string[] = []
  // Beyond the first two planes and the tags are ideographs, private and unassigned ones: every 61st.
  const isDense = (code: number) => code < 0x20000 || (code >= 0xdf000 && code < 0xe1000)
  for (let code = 0; code <= 0x10ffff; code += isDense(code) ? 1 : 61) {
    const character = String.fromCodePoint(code)
    // U+FFFD and surrogates are broken text, and an ampersand may begin an entity.
    if (character === '\ufffd' || !character.isWellFormed()) continue
    const expected = `a${goes.test(character) ? '' : character}b`.normalize('NFC')
    if (show(cleanText(`a${character}b`)) !== expected) wrong.push(code.toString(16))
  }
  t.same(wrong, [])
})

t.test('HTML entities are decoded, once, and only with their semicolon', async (t) => {
  const rows = [
    ['D&#039;Angelo', "D'Angelo"],
    ['D&#x27;Angelo', "D'Angelo"],
    ['D&rsquo;Angelo', 'D’Angelo'],
    ['G&uuml;nther', 'Günther'],
    ['Gu&#776;nther', 'Günther'],
    ['Marks &amp; Spencer', 'Marks & Spencer'],
    ['&nbsp;Anna&#8203;', 'Anna'],
    ['&quot;Anna&quot;', '"Anna"'],
    ['&#128578;', '🙂'],
    ['&amp;eacute;', '&eacute;'],
    ['a&copy=1', 'a&copy=1'],
    ['&nosuch;', '&nosuch;'],
    ['&;', '&;'],
    ['&', '&'],
    ['&nbsp;', '(placeholder)'],
  ] as const
  for (const [typed, expected] of rows) t.equal(show(cleanText(typed)), expected, typed)
})
