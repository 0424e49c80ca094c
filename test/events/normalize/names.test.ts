import t from 'tap'
import { checkTable, type Row } from './table.ts'

const rows: readonly Row[] = [
  ['O’Connor', "o'connor"],
  ["O'Connor", "o'connor"],
  ['O‘Connor', "o'connor"],
  ['Мар’яна', "мар'яна"],
  ['Марʼяна', "мар'яна"],
  ['José', 'josé'],
  ['Jose\u0301', 'josé'],
  ['JOSÉ', 'josé'],
  ['  Mary   Ann ', 'mary ann'],
  ['Mary\u00a0Ann', 'mary ann'],
  ['Mary\u3000Ann', 'mary ann'],
  ['Smith–Jones', 'smith-jones'],
  ['Smith‐Jones', 'smith-jones'],
  ['Smith−Jones', 'smith-jones'],
  ['Martin Luther King, Jr.', 'martin luther king, jr.'],
  ['Müller', 'müller'],
  ['STRAẞE', 'straße'],
  ['Łukasz', 'łukasz'],
  ['Øyvind', 'øyvind'],
  ['Dvořák', 'dvořák'],
  ['Nguyễn Thị', 'nguyễn thị'],
  ['Ñíguez', 'ñíguez'],
  ['Kaʻahumanu', 'kaʻahumanu'],
  ['İbrahim', 'i\u0307brahim'],
  ['ILGIN', 'ilgin'],
  ['Иванов', 'иванов'],
  ['ΠΑΠΑΔΟΠΟΥΛΟΣ', 'παπαδοπουλος'],
  ['山田', '山田'],
  ['김철수', '김철수'],
  ['محمد', 'محمد'],
  ['می\u200cخواهم', 'میخواهم'],
  ['X Æ A-12', 'x æ a-12'],
  ['n', 'n'],
  ['O´Neil', "o'neil"],
  ['O`Neil', "o'neil"],
  ['D´Ávila', "d'ávila"],
  ['`Anna`', '`anna`'],
  ["O\\'Neil", "o'neil"],
  ["D\\\\\\'Angelo", "d'angelo"],
  ['Ana ´', 'ana ´'],
  ['O&#8217;Neil', "o'neil"],
  ['Zo&euml;', 'zoë'],
  ['Jo\u2063ão\ufe0f', 'joão'],
]

t.test('names are lower case with one kind of space, apostrophe and dash', async (t) => {
  checkTable(t, 'fn', rows)
  checkTable(t, 'ln', rows)
})

t.test('Null and Na are names, Undefined is not', async (t) => {
  for (const field of ['fn', 'ln'] as const) {
    checkTable(t, field, [
      ['Null', 'null'],
      ['Na', 'na'],
      ['None', 'none'],
      ['NaN', 'nan'],
      ['Undefined', '(placeholder)'],
      ['UNKNOWN', '(placeholder)'],
      ['N/A', '(placeholder)'],
      ['-', '(placeholder)'],
      ['–', '(unreadable)'],
      ['.', '(unreadable)'],
      ['...', '(unreadable)'],
      ['*', '(unreadable)'],
      ['--', '(unreadable)'],
      ['×', '(unreadable)'],
      ["'", '(unreadable)'],
      ['ʼ', '(unreadable)'],
      ['7', '(unreadable)'],
      ['🙂', '(unreadable)'],
      ['\u3164', '(placeholder)'],
      ['O&amp;#039;Neil', '(unreadable)'],
      ['', '(placeholder)'],
    ])
  }
})
