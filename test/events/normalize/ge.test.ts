import t from 'tap'
import { checkTable, type Row } from './table.ts'

t.test('gender is one letter', async (t) => {
  const letters: readonly (readonly [string, readonly unknown[]])[] = [
    ['f', ['f', 'F', 'Female', 'FEMALE', ' woman ', 'Girl', 'w', '2', 2]],
    ['m', ['m', 'M', 'Male', 'man', 'BOY', '1', 1]],
    ['n', ['n', 'NonBinary', 'non-binary', 'X', 'diverse']],
  ]
  const rows: readonly Row[] = letters.flatMap(([letter, typed]) =>
    typed.map((value): Row => [value, letter]),
  )
  checkTable(t, 'ge', rows)
})

t.test('anything else is dropped', async (t) => {
  checkTable(t, 'ge', [
    ['0', '(unreadable)'],
    [9, '(unreadable)'],
    ['male female', '(unreadable)'],
    ['fem', '(unreadable)'],
    ['unknown', '(placeholder)'],
    ['N/A', '(placeholder)'],
    [true, '(wrong_type)'],
  ])
})
