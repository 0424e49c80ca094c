/** What the README and docs say, held against the code. */
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { SettingsSchema } from '../src/config.ts'
import { PINTEREST_CODES } from '../src/errors.ts'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const readme = read('README.md')

/** The cells of every table row under a heading, up to the next one. */
function tableUnder(text: string, heading: string): string[][] {
  const start = text.indexOf(`\n${heading}\n`)
  const rest = text.slice(start + heading.length + 2)
  const end = rest.search(/\n#+ /)
  const lines = (end < 0 ? rest : rest.slice(0, end)).split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** OpenTelemetry's SDK reads them itself: see docs/operations.md. */
const SDK_SETTINGS = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_TRACES_SAMPLER', 'OTEL_TRACES_SAMPLER_ARG']

t.test('the settings table names every setting, and its default', async (t) => {
  const rows = tableUnder(readme, '### Settings')
  const documented = new Map<string, string>()
  for (const [names = '', defaults = ''] of rows) {
    const values = defaults.split(', ')
    names.split(', ').forEach((name, n) => documented.set(name.replaceAll('`', ''), values[n] ?? defaults))
  }
  t.strictSame([...documented.keys()].toSorted(), Object.keys(SettingsSchema.properties).toSorted())
  for (const [name, schema] of Object.entries(SettingsSchema.properties)) {
    if ('default' in schema) t.equal(documented.get(name), String(schema.default), name)
  }
})

t.test('compose passes every setting on, but for what the image and its networks fix', async (t) => {
  const { services } = parse(read('docker-compose.yml')) as {
    services: { relay: { environment: Record<string, string | null> } }
  }
  const fixed = ['HOST', 'PORT', 'ADMIN_PORT', 'DATABASE_URL', 'DATABASE_URL_DIRECT']
  const wanted = Object.keys(SettingsSchema.properties).filter((name) => !fixed.includes(name))
  t.strictSame(new Set(Object.keys(services.relay.environment)), new Set([...wanted, ...SDK_SETTINGS]))
})

t.test('every npm script that a document names exists', async (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  for (const path of [
    'README.md',
    'CONTRIBUTING.md',
    'docs/sandbox.md',
    'docs/spelling.md',
    'docs/operations.md',
    'docs/tokens.md',
    'docs/performance.md',
    'docs/scaling.md',
  ]) {
    for (const [, name] of read(path).matchAll(/npm run ([a-z:-]+)/g)) {
      t.ok(Object.hasOwn(scripts, name!), `${path}: npm run ${name}`)
    }
  }
})

t.test('every file that the README links to exists', async (t) => {
  for (const [, path] of readme.matchAll(/\]\(([^)#:]+)\)/g)) {
    t.doesNotThrow(() => readdirOrFile(path!), `${path}`)
  }
})

t.test('the answer table has the codes of the code', async (t) => {
  const codes = tableUnder(readme, '## Posting events').map(([, code]) => Number(code))
  t.strictSame(new Set(codes.filter((code) => code > 0)), new Set(Object.values(PINTEREST_CODES)))
})

t.test('every warning code is explained, and none that does not exist', async (t) => {
  const known = [...read('src/event/warning.ts').matchAll(/^ {2}\| '([a-z_]+)'/gm)].map(([, code]) => code)
  const explained = tableUnder(read('docs/spelling.md'), '## Warnings').map(([code]) =>
    code!.replaceAll('`', ''),
  )
  t.ok(known.length > 10)
  t.strictSame(new Set(explained), new Set(known))
})

t.test('every route of the admin port is in the README, and none that is not there', async (t) => {
  const sources = readdirSync(new URL('../src/admin', import.meta.url)).map((name) =>
    read(`src/admin/${name}`),
  )
  const both = "'/accounts/:id/pause', …); app.post('/accounts/:id/resume'"
  const code = sources.join('\n').replace('`/accounts/:id/${verb}`', both)
  const routes = [...code.matchAll(/app\.(get|put|post|delete)(?:<[^(]*>)?\('([^']+)'/g)].map(
    ([, method, path]) => `${method!.toUpperCase()} ${path!.replace(/:(\w+)/g, '{$1}')}`,
  )
  const table = tableUnder(readme, '## Operating it').map(([route]) => route)
  const documented = [...table.join(' ').matchAll(/`(GET|PUT|POST|DELETE) ([^`\s]+)`/g)].map(
    ([, method, path]) => `${method} ${path}`,
  )
  t.strictSame(documented.toSorted(), [...new Set(routes)].toSorted())
})

function readdirOrFile(path: string): unknown {
  return path.startsWith('src/') && !path.endsWith('.ts')
    ? readdirSync(new URL(`../${path}`, import.meta.url))
    : read(path)
}
