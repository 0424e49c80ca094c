import t from 'tap'
import { readSource } from './support/source.ts'
import { readSettings, SettingsSchema } from '../src/settings.ts'

t.test('without settings everything has its default', async (t) => {
  t.match(readSettings({}), {
    HOST: '127.0.0.1',
    PORT: 8080,
    ADMIN_PORT: 8081,
    database: { kind: 'sqlite', path: './data/relay.db' },
    PINTEREST_API_URL: 'https://api.pinterest.com/v5',
    POSTS_PER_MINUTE: 5000,
    CALLS_PER_MINUTE: 5000,
    CALL_BURST: 250,
    ADMIN_HOSTS: [],
    TRUST_PROXY: [],
    METRICS_OPEN: false,
    LOG_LEVEL: 'info',
  })
})

t.test('settings are read and trimmed; empty ones count as unset', async (t) => {
  const settings = readSettings({
    PORT: ' 9000 ',
    HOST: '',
    ADMIN_HOSTS: 'relay, console.example',
    TRUST_PROXY: '10.0.0.0/8, ::1',
    METRICS_OPEN: 'true',
  })
  t.same(settings.ADMIN_HOSTS, ['relay', 'console.example'])
  t.match(settings, { PORT: 9000, HOST: '127.0.0.1', TRUST_PROXY: ['10.0.0.0/8', '::1'], METRICS_OPEN: true })
})

t.test('every problem is named at once, and no value', async (t) => {
  const environment = {
    PORT: '70000',
    CALLS_IN_FLIGHT: 'four',
    MASTER_KEY: 'c2VjcmV0LWJ1dC10b28tc2hvcnQ=',
    TRUST_PROXY: '10.0.0.0/99',
    LOG_LEVEL: 'loud',
    DATABASE_URL: 'mysql://user:hunter2@db/relay',
  }
  const message = messageOf(environment)
  for (const name of ['PORT', 'CALLS_IN_FLIGHT', 'MASTER_KEY', 'LOG_LEVEL', 'DATABASE_URL', 'TRUST_PROXY']) {
    t.match(message, new RegExp(`^${name} must be `, 'm'), `names ${name}`)
  }
  for (const value of ['70000', 'four', 'c2Vj', 'loud', 'hunter2', '/99']) t.notMatch(message, value)
})

const wrong: [string, Record<string, string>, RegExp][] = [
  ['a burst as large as the limit', { CALLS_PER_MINUTE: '100', CALL_BURST: '100' }, /^CALL_BURST must/],
  [
    'a previous key without a current one',
    { MASTER_KEY_PREVIOUS: Buffer.alloc(32).toString('base64') },
    /MASTER_KEY/,
  ],
  ['a short admin token', { ADMIN_TOKEN: 'short' }, /^ADMIN_TOKEN must/],
  ['a URL with a query', { PINTEREST_API_URL: 'http://x/v5?a=b' }, /^PINTEREST_API_URL must/],
  ['a URL with half an address', { PINTEREST_API_URL: 'http://[::1/v5' }, /^PINTEREST_API_URL must/],
  [
    'a console below a path',
    { ADMIN_PUBLIC_URL: 'https://ops.example/relay' },
    /^ADMIN_PUBLIC_URL must .*without user, path/,
  ],
  ['a URL of no port', { ADMIN_PUBLIC_URL: 'https://relay:99999' }, /^ADMIN_PUBLIC_URL must/],
  // The log shows it.
  ['a password in the address', { ADMIN_PUBLIC_URL: 'https://me:secret@relay' }, /^ADMIN_PUBLIC_URL must/],
  [
    'an admin token that no header may hold',
    { ADMIN_TOKEN: 'a'.repeat(513) },
    /^ADMIN_TOKEN must be 16 to 512/,
  ],
  ['a number with a unit', { BODY_LIMIT_BYTES: '8MiB' }, /^BODY_LIMIT_BYTES must/],
  ['a database in memory', { DATABASE_URL: 'sqlite::memory:' }, /^DATABASE_URL must/],
  ['a folder for a database', { DATABASE_URL: 'sqlite:/data/' }, /^DATABASE_URL must/],
  ['a negative number', { ANSWER_WAIT_MS: '-1' }, /^ANSWER_WAIT_MS must/],
]
for (const [name, environment, pattern] of wrong) {
  t.test(`${name} stops the start`, async (t) => t.match(messageOf(environment), pattern))
}

t.test('proxies: in upper or lower case, with a scheme or without', async (t) => {
  const rows: [Record<string, string>, object][] = [
    [{}, { HTTPS_PROXY: undefined, HTTP_PROXY: undefined, NO_PROXY: undefined }],
    [{ HTTPS_PROXY: 'http://proxy.example:3128/' }, { HTTPS_PROXY: 'http://proxy.example:3128/' }],
    [{ https_proxy: 'proxy.example:3128' }, { HTTPS_PROXY: 'http://proxy.example:3128/' }],
    [{ HTTPS_PROXY: '', https_proxy: 'https://secure' }, { HTTPS_PROXY: 'https://secure/' }],
    [{ HTTPS_PROXY: 'upper:1', https_proxy: 'lower:1' }, { HTTPS_PROXY: 'http://upper:1/' }],
    [
      { http_proxy: 'me:p%40ss@proxy:8' },
      { HTTP_PROXY: 'http://me:p%40ss@proxy:8/', HTTPS_PROXY: undefined },
    ],
    [{ no_proxy: ' .internal, 10.0.0.1:80 ' }, { NO_PROXY: '.internal, 10.0.0.1:80' }],
  ]
  for (const [environment, expected] of rows)
    t.match(readSettings(environment), expected, JSON.stringify(environment))
  t.equal(readSettings({ port: '1' }).PORT, 8080, 'no other setting has a lower case')
  for (const value of [
    'socks5://hunter2',
    'http://me:hunter2/x@proxy',
    'http://proxy/path',
    'http://me:%zzhunter2@proxy',
    'http://proxy:hunter2',
    'hunter2 3',
  ]) {
    const message = messageOf({ https_proxy: value })
    t.equal(message, 'HTTPS_PROXY must be host:port, or an http or https URL without path', value)
  }
})

t.test('the settings are frozen', async (t) => {
  t.ok(Object.isFrozen(readSettings({})))
})

t.test('each setting is used', async (t) => {
  const source = readSource('settings.ts')
  for (const name of Object.keys(SettingsSchema.properties))
    t.ok(new RegExp(`\\b${name}\\b`).test(source), `${name}: nothing reads it`)
})

function messageOf(environment: Record<string, string>): string {
  try {
    readSettings(environment)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}
