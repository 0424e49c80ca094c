import t from 'tap'
import { checkTable } from './table.ts'

t.test('an address is lower case and has no white space', async (t) => {
  checkTable(t, 'em', [
    [' Person@Example.COM ', 'person@example.com'],
    ['mailto:Person@Example.com', 'person@example.com'],
    ['MAILTO:person@example.com?subject=Hello', 'person@example.com'],
    ['per son@ example .com', 'person@example.com'],
    ['person@example.com\u00a0', 'person@example.com'],
    ['per\u200bson@example.com', 'person@example.com'],
    ['\ufeffperson@example.com', 'person@example.com'],
    ['person@\tmail.example.co.uk\r\n', 'person@mail.example.co.uk'],
    ['JOSÉ@EXAMPLE.ES', 'josé@example.es'],
    ['jose\u0301@example.es', 'josé@example.es'],
    ['kontakt@Müller.de', 'kontakt@müller.de'],
    ['İnfo@example.com', 'i\u0307nfo@example.com'],
  ])
})

t.test('characters of another width are those that the keyboard means', async (t) => {
  checkTable(t, 'em', [
    ['person＠example.com', 'person@example.com'],
    ['Ｐｅｒｓｏｎ．１＠ｅｘａｍｐｌｅ．ｃｏｍ', 'person.1@example.com'],
    ['person@example。com', 'person@example.com'],
    ['person@example｡com', 'person@example.com'],
    ['person﹫example.com', 'person@example.com'],
    ['per　son＠example.com', 'person@example.com'],
    ['person＠＠example.com', '(unreadable)'],
    ['person@example＠com', '(unreadable)'],
    ['a＠example.com，b＠example.com', '(unreadable)'],
  ])
})

t.test('dots, plus tags and apostrophes are part of the address', async (t) => {
  checkTable(t, 'em', [
    ['first.last+shop@gmail.com', 'first.last+shop@gmail.com'],
    ["O'Connor@example.ie", "o'connor@example.ie"],
    ['user_name-1@x-y.example', 'user_name-1@x-y.example'],
  ])
})

t.test('what is not plainly one address is dropped', async (t) => {
  const wrong = [
    'not-an-email',
    'person@example',
    'person@example..com',
    'person@.example.com',
    'person@example.com.',
    '@example.com',
    'person@',
    'person@@example.com',
    'a@example.com,b@example.com',
    'a@example.com;b@example.com',
    'Person <person@example.com>',
    '"person"@example.com',
    "'person@example.com'",
    'person@example.com"',
    '(person)@example.com',
    'person@[203.0.113.7]',
    'person@example.com:25',
    'person@exam ple.com/?x',
    '12345',
    12_345,
    `${'a'.repeat(320)}@example.com`,
  ]
  checkTable(
    t,
    'em',
    wrong.map((typed) => [typed, '(unreadable)'] as const),
  )
})
