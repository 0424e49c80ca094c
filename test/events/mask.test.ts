import t from 'tap'
import { maskValue } from '../../src/events/explain.ts'
import { anyText } from '../support/any-text.ts'
import fc from '../support/fast-check.ts'

t.test('enough is shown to find a mistake by, and no more', async (t) => {
  const shown: readonly (readonly [unknown, string])[] = [
    [' Jane.Roe@Example.com ', ' J•••.•••@E••••••.com '],
    ['jane@localhost', 'j•••@l••••••••'],
    ['bob@a.b.de', '•••@•.•.de'],
    ['+1 415 555 2671', '+1 ••• ••• ••••'],
    ['O’Connor-Núñez', 'O’••••••-•••••'],
    ['US', '••'],
    ['f', '•'],
    [19900307, '1•••••••'],
    [true, 't•••'],
    ['', ''],
    [{ em: 'jane@example.com' }, '(an object)'],
    [['jane@example.com'], '(a list)'],
  ]
  for (const [value, wanted] of shown) t.equal(maskValue(value), wanted)
  t.equal(maskValue('x'.repeat(5000)).length, 101, 'a long one is cut')
})

t.test('of any text at most the first letter on each side of an @ and the ending are shown', async () => {
  fc.assert(
    fc.property(anyText({ maxLength: 60 }), (text) => {
      const letters = maskValue(text).match(/[\p{L}\p{N}]/gu)?.length ?? 0
      const ending = /\.[a-z]{2,}\s*$/i.exec(text)?.[0] ?? ''
      return letters <= 2 + (text.includes('@') ? ending.length : 0)
    }),
  )
})
