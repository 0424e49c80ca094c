/** DATABASE_URL, read as libpq reads it. */
import t from 'tap'
import { parseDatabaseUrl } from '../../../src/store/postgres/database-url.ts'

const parse = parseDatabaseUrl

t.test('user, password and database are what was escaped, and a plus sign stays one', async (t) => {
  t.match(parse('postgres://u:a+b%2Bc@h/db').login, { user: 'u', password: 'a+b+c', database: 'db' })
  t.match(parse('postgres://u%40x:p%25%2F%3A%20%23%3F@h/d%2B%2F').login, {
    user: 'u@x',
    password: 'p%/: #?',
    database: 'd+/',
  })
  t.match(parse('postgres://u:a:b@h/db').login, { password: 'a:b' }, 'the first colon ends the user')
  t.match(parse('postgres://u:a@b#?c@h/db'), { login: { password: 'a@b#?c' }, hosts: [{ host: 'h' }] })
  t.match(parse('postgresql:///db?user=u&password=x+%26').login, { user: 'u', password: 'x+&' })
  t.strictSame(parse('postgres://h').login, {})
  t.match(parse('postgres://h/db?options=-c%20geqo%3Doff&application_name=a+b&connect_timeout=2').login, {
    options: '-c geqo=off',
    application_name: 'a+b',
    connectionTimeoutMillis: 2000,
  })
})

const hosts: [string, [string, number][]][] = [
  ['postgres://u:p@a/db', [['a', 5432]]],
  ['postgres:///db', [['localhost', 5432]]],
  [
    'postgres://u:p@a:1,b:2,c/db?target_session_attrs=read-write',
    [
      ['a', 1],
      ['b', 2],
      ['c', 5432],
    ],
  ],
  [
    'postgres://u:p@[::1]:7,127.0.0.1/db',
    [
      ['::1', 7],
      ['127.0.0.1', 5432],
    ],
  ],
  ['postgres://u:p@%2Fvar%2Frun%2Fpostgresql:6432/db', [['/var/run/postgresql', 6432]]],
  ['postgres:///db?host=/var/run/postgresql', [['/var/run/postgresql', 5432]]],
  [
    'postgres://u:p@/db?host=a,b&port=6000',
    [
      ['a', 6000],
      ['b', 6000],
    ],
  ],
]
for (const [url, expected] of hosts) {
  t.test(`hosts of ${url}`, async (t) => {
    t.strictSame(
      parse(url).hosts,
      expected.map(([host, port]) => ({ host, port })),
    )
  })
}

t.test('sslmode is libpq’s, and its default', async (t) => {
  t.match(parse('postgres://h/db'), { sslMode: 'prefer' })
  for (const mode of ['disable', 'allow', 'prefer', 'require', 'verify-full'])
    t.match(parse(`postgres://h/db?sslmode=${mode}`), { sslMode: mode })
  t.match(parse('postgres://h/db?ssl=true'), { sslMode: 'require' })
  t.match(parse('postgres://h/db?sslmode=verify-ca&sslrootcert=/a+b.pem'), {
    sslMode: 'verify-ca',
    sslFiles: { sslrootcert: '/a+b.pem' },
  })
})

const wrong: [string, RegExp][] = [
  ['postgres://u:hunter2/x@h/db', /write \/ as %2F/],
  ['postgres://u:hunter2%zz@h/db', /write it as %25/],
  ['postgres://u:hunter2@h:port/db', /port/],
  ['postgres://u:hunter2@h:70000/db', /port/],
  ['postgres://u:hunter2@a,b/db?port=1,2,3', /one port for each host/],
  ['postgres://u:hunter2@h/db?hunter2=x', /does not know/],
  ['postgres://u:hunter2@h/db?sslmode=hunter2', /of sslmode the relay supports disable, allow,/],
  ['postgres://u:hunter2@h/db?sslmode=verify-ca', /needs sslrootcert/],
  ['postgres://u:hunter2@h/db?sslmode=verify-ca&sslrootcert=system', /needs sslrootcert/],
  ['postgres://u:hunter2@h/db?target_session_attrs=standby', /supports any, read-write, primary/],
  ['postgres://u:hunter2@h/db?channel_binding=require', /channel_binding/],
  ['postgres://u:hunter2@h/db?gssencmode=require', /gssencmode/],
  ['postgres://u:hunter2@h/db?sslnegotiation=direct', /needs sslmode=require/],
  ['postgres://u:hunter2@h/db?sslcert=/c', /go together/],
]
for (const [url, problem] of wrong) {
  t.test(`${url} stops the start with one line, without the password`, async (t) => {
    let message = ''
    try {
      parse(url)
    } catch (error) {
      t.match(error, { code: 'BAD_SETTINGS' })
      message = String((error as Error).stack)
    }
    t.match(message, problem)
    t.match(message, /DATABASE_URL /)
    t.notMatch(message, 'hunter2')
  })
}
