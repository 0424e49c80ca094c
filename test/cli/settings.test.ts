import t from 'tap'
import { SettingsSchema } from '../../src/settings.ts'
import { createCommandLine } from './stage.ts'

const relay = createCommandLine()
const SECRETS = {
  ADMIN_TOKEN: 'an-admin-token-of-mine',
  MASTER_KEY: Buffer.alloc(32, 1).toString('base64'),
  MASTER_KEY_PREVIOUS: Buffer.alloc(32, 2).toString('base64'),
}

t.test('settings shows each setting with its value in force', async (t) => {
  const { code, stdout } = await relay('settings', { environment: { PORT: '9000', METRICS_OPEN: '' } })
  t.equal(code, 0)
  t.match(stdout, /^PORT +9000 +yes +public port/m)
  t.match(stdout, /^METRICS_OPEN +false +no +/m)
  t.match(stdout, /^TRUST_PROXY +- +no +/m)
  for (const name of Object.keys(SettingsSchema.properties)) t.match(stdout, new RegExp(`^${name} `, 'm'))
})

t.test('no secret is shown, as a table or as JSON', async (t) => {
  const environment = {
    ...SECRETS,
    DATABASE_URL: 'postgres://relay:p@ss:w0rd@db.example/relay?password=hunter2',
    https_proxy: 'me:hunter5@proxy.example:3128',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://me:hunter4@collector.example',
  }
  for (const words of ['settings', 'settings --json']) {
    const { code, stdout, stderr } = await relay(words, { environment })
    t.equal(code, 0, stderr)
    t.match(stdout, 'postgres://•••@db.example/relay?•••')
    t.match(stdout, 'http://•••@proxy.example:3128/')
    t.notMatch(stdout, /hunter|ss:w0rd/)
    for (const secret of Object.values(SECRETS)) t.notOk(stdout.includes(secret))
  }
})

t.test('with bad settings it names every problem, and no value', async (t) => {
  const { code, stderr } = await relay('settings', { environment: { PORT: 'x1', ADMIN_TOKEN: 'short' } })
  t.equal(code, 1)
  t.match(stderr, /^PORT must be .*\nADMIN_TOKEN must be/)
  t.notMatch(stderr, /x1|short/)
})
