/** What means nothing, as programs, shops and people write it. */
import t from 'tap'
import { HASHED_FIELD_NAMES, TEXT_FIELD_NAMES } from '../../support/user-data-fields.ts'
import { checkTable, type Row } from './table.ts'

const dropped = (texts: readonly unknown[]) => texts.map((typed): Row => [typed, '(placeholder)'])
const EVERY_FIELD = [...HASHED_FIELD_NAMES, ...TEXT_FIELD_NAMES]

t.test('templates that nobody filled in are dropped in every field', async (t) => {
  const templates = [
    '{{customer.email}}', '{{ user.first_name | capitalize }}', '{{{raw}}}', '{% firstname %}', '${user.email}', '*|EMAIL|*', '*|FNAME|*',
    '%%emailaddr%%', '%%First Name%%', '<%= user.email %>', '<%= name%>', '#{user.name}', '[[email]]', '%FIRSTNAME%', '{$customer.name}',
    '{!Contact.Email}', '%7B%7Bcustomer.email%7D%7D', '<?php echo $email ?>', '&lt;%= email %&gt;', ' {{first}} {{last}} ', '{{\n name \n}}',
  ] // prettier-ignore
  for (const field of EVERY_FIELD) checkTable(t, field, dropped(templates))
  checkTable(t, 'external_id', [['{38400000-8cf0-11bd-b23e-10b96e40000d}', '{38400000-8cf0-11bd-b23e-10b96e40000d}'], ['100%', '100%'], ['<17>', '<17>']]) // prettier-ignore
})

t.test('so are texts in which a template is left', async (t) => {
  const templates = ['{{ customer.id }}-1', 'a{{b}}', 'Dr. {{ last_name }}', 'cust-${id}', '17-#{id}', '{% if x %}1', '%%id%%-2', '*|ID|*@shop.example', '<%= id %>1'] // prettier-ignore
  const fields = ['{customer_id}', '[first name]', '<customer.id>', '&lt;id&gt;']
  for (const field of EVERY_FIELD) checkTable(t, field, dropped([...templates, ...fields]))
  checkTable(t, 'external_id', ['a{b}', '50%-50%', 'a|b', '{17}', '{a'].map((id): Row => [id, id])) // prettier-ignore
})

t.test('errors of spreadsheets are dropped in every field', async (t) => {
  const errors = ['#N/A', '#REF!', '#NAME?', '#VALUE!', '#DIV/0!', '#NUM!', '#NULL!', '#Ref!']
  for (const field of EVERY_FIELD) checkTable(t, field, dropped(errors))
})

t.test('in brackets and quotes nothing is nothing, in every field', async (t) => {
  const words = [
    'null',
    'undefined',
    'none',
    'NaN',
    'nil',
    'N/A',
    'NA',
    '-',
    'Unknown',
    'not set',
    '[object Object]',
  ]
  for (const field of EVERY_FIELD) {
    checkTable(
      t,
      field,
      dropped(words.flatMap((word) => [`(${word})`, `<${word}>`, `( ${word} )`, `&lt;${word}&gt;`])),
    )
    const quoted = words.filter((word) => word !== 'NA')
    checkTable(
      t,
      field,
      dropped(quoted.flatMap((word) => [`"${word}"`, `'${word}'`, `“${word}”`, `"(${word})"`])),
    )
  }
  checkTable(t, 'country', [['"NA"', 'na']])
})

t.test('guests of a shop are not one customer', async (t) => {
  const guests = [0, '0', -1, '-1', 'guest', 'Guest', 'GUEST', '(guest)', '"guest"', 'anonymous', 'Anonymous', 'not logged in', 'Not Logged In', 'NOT LOGGED IN',
    'true', 'false', 'Guest User', 'guest_user', 'GUEST-CHECKOUT', 'anonymous customer', 'anon', 'user-guest', 'not_logged_in', '(Not-Logged-In)', 'not_set', 'guest;',
    '(not set)', '#N/A', '\\N', '--', '{}', '[]', '""', '?', '\u200b', '&nbsp;', 'null null', 'undefined undefined'] // prettier-ignore
  checkTable(t, 'external_id', dropped(guests))
  checkTable(t, 'external_id', ['Guest-17', 'guest@shop.example', '00', 'Nobody', '10', '-12', 'Anonymous 4', 'guest user 2', 'guestbook', 'Anonymouse', 'notloggedin.net'].map((id): Row => [id, id])) // prettier-ignore
  checkTable(t, 'fn', [['Guest', 'guest']])
})

t.test('ids that a program wrote without having one are nobody’s', async (t) => {
  const nobodys = ['user-undefined', 'customer_null', 'shop:undefined', 'undefined_undefined', 'gid://shop/Customer/null', 'cust-[object Object]'] // prettier-ignore
  checkTable(t, 'external_id', dropped(nobodys))
  const real = ['user-undefined-17', 'nullable', 'nan-lee', 'Undefinedness', 'nullo.null1', 'no-one']
  checkTable(t, 'external_id', real.map((id): Row => [id, id])) // prettier-ignore
})

t.test('zeros in place of a hash are no hash', async (t) => {
  for (const field of HASHED_FIELD_NAMES) {
    checkTable(t, field, [['0'.repeat(64), '(placeholder)'], [Buffer.alloc(32).toString('base64'), '(placeholder)']]) // prettier-ignore
  }
})

t.test('names that are made of nothing twice', async (t) => {
  checkTable(
    t,
    'fn',
    dropped(['undefined undefined', 'null null', 'Unknown Unknown', 'undefined, undefined', 'Not set']),
  )
  checkTable(t, 'fn', [['Nil', 'nil'], ['Nan', 'nan'], ['Na Na', 'na na'], ['Null Island', 'null island']]) // prettier-ignore
})
