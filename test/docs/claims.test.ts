/** What README and docs name, held against the code. */
import { existsSync, globSync, statSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { COMMANDS } from '../../src/cli/run.ts'
import { SettingsSchema } from '../../src/settings.ts'
import { UserDataSchema } from '../../src/events/schema.ts'
import { METRICS } from '../../src/telemetry/metrics.ts'
import { PINTEREST_CODES } from '../../src/errors.ts'
import { locate, PAGES, read, tableUnder } from './pages.ts'

const SETTINGS = Object.keys(SettingsSchema.properties)
/** OpenTelemetry's SDK reads them itself: see docs/observe.md. */
const SDK_SETTINGS = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_TRACES_SAMPLER', 'OTEL_TRACES_SAMPLER_ARG']

interface Compose {
  readonly services: Readonly<
    Record<string, { readonly environment?: Record<string, string | null>; readonly profiles?: string[] }>
  >
}

t.test('the README and its picture are small', async (t) => {
  t.ok(Buffer.byteLength(read('README.md')) <= 8192)
  t.ok(statSync(locate('docs/console.png')).size < 120 * 1024)
})

t.test('the first screen of the README says how to connect a shop', async (t) => {
  const screen = read('README.md').split('\n').slice(0, 40).join('\n')
  for (const text of ['npm start', 'npm run relay -- init', '[Shopify]', '[WooCommerce]', '[your own code]'])
    t.match(screen, text)
})

t.test('each part of the changelog says a thing once', async (t) => {
  for (const part of read('CHANGELOG.md').split(/^## /m)) {
    const lines = part.split('\n').filter((line) => line !== '')
    // A merge that goes wrong repeats lines, or an item under the same name.
    const starts = lines.map((line) => /^- \*\*.*?\*\*/.exec(line)?.[0] ?? line)
    t.strictSame(
      starts.filter((start, index) => starts.indexOf(start) < index),
      [],
      lines[0] ?? '',
    )
  }
})

t.test('compose passes every setting on, but for what the image and its networks fix', async (t) => {
  const { services } = parse(read('docker-compose.yml')) as Compose
  const fixed = ['HOST', 'PORT', 'ADMIN_PORT', 'DATABASE_URL']
  const wanted = SETTINGS.filter((name) => !fixed.includes(name))
  const passed = Object.keys(services['relay']?.environment ?? {})
  t.strictSame(passed.toSorted(), [...wanted, ...SDK_SETTINGS].toSorted())
})

t.test('what CONTRIBUTING says to do to add something names files and declarations that exist', async (t) => {
  const declared = globSync('{src,test}/**/*.ts', { cwd: locate('.') })
    .map((path) => read(path))
    .join('\n')
  const rows = tableUnder(read('CONTRIBUTING.md'), '## To add something')
  t.ok(rows.length >= 6)
  for (const [what, recipe = ''] of rows) {
    for (const [path] of recipe.matchAll(/\b(?:src|test|docs)\/[\w/.-]*\w/g))
      t.ok(existsSync(locate(path)), `${what}: ${path}`)
    for (const [, name] of recipe.matchAll(/`([A-Z]\w+)`/g))
      t.ok(new RegExp(`^(?:export )?(?:const|interface) ${name}\\b`, 'm').test(declared), `${what}: ${name}`)
  }
})

t.test('every npm script that a page names exists', async (t) => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  for (const page of PAGES) {
    for (const [, name] of read(page).matchAll(/npm run (?:--silent )?([a-z:-]+)/g)) {
      t.ok(Object.hasOwn(scripts, name!), `${page}: npm run ${name}`)
    }
  }
})

t.test('no page runs a TypeScript file with whatever Node the shell has: it may be too old', async (t) => {
  for (const page of PAGES) {
    for (const [command] of read(page).matchAll(/(?:(?<=`)|(?<=^ {4}))node [\w./-]+\.ts/gm))
      t.fail(`${page}: npx ${command}`)
  }
})

t.test('every relay command that a page names exists', async (t) => {
  const names = new Set(COMMANDS.map(({ name }) => name))
  const families = new Set([...names].map((name) => name.split(' ')[0]!))
  for (const page of PAGES) {
    for (const [, words] of read(page).matchAll(/(?:`|^ {4}|exec relay |\| )relay ([a-z]+(?: [a-z]+)?)/gm)) {
      const [first = ''] = words!.split(' ')
      // In prose `relay` begins sentences, too.
      if (families.has(first)) t.ok(names.has(words!) || names.has(first), `${page}: relay ${words}`)
      else t.notOk(read(page).includes(`\`relay ${first}`), `${page}: relay ${words}`)
    }
  }
})

t.test('every metric that a page names exists', async (t) => {
  const known = new Set<string>(Object.values(METRICS).map(({ name }) => name))
  for (const page of PAGES) {
    for (const [, name] of read(page).matchAll(/`(pinrelay_[a-z_]+)/g)) {
      t.ok(known.has(name!), `${page}: ${name}`)
    }
  }
})

t.test('every field of user_data has its rule on docs/normalization.md', async (t) => {
  for (const name of Object.keys(UserDataSchema.properties))
    t.ok(read('docs/normalization.md').includes(`\`${name}\``), name)
})

t.test('the answer table has the codes of the code', async (t) => {
  const codes = tableUnder(read('docs/posting.md'), '## Answers').map(([, code]) => Number(code))
  t.strictSame(new Set(codes.filter((code) => code > 0)), new Set(Object.values(PINTEREST_CODES)))
})

// No engine runs here: what the commands name is there.
t.test('every compose command names files, profiles, services and relay commands that exist', async (t) => {
  let count = 0
  for (const page of PAGES) {
    for (const [command, line] of read(page).matchAll(/docker compose ([^\n`]+)/g)) {
      const words = line!.split(' ').filter((word) => word !== '')
      const files: string[] = []
      const profiles: string[] = []
      while (words[0]?.startsWith('-')) {
        const [option, value] = words.splice(0, 2)
        if (option === '-f') files.push(value!)
        else if (option === '--profile') profiles.push(value!)
        else t.fail(`${page}: ${command}: ${option}`)
      }
      const { services } = parse(read(files[0] ?? 'docker-compose.yml'), { merge: true }) as Compose
      for (const profile of profiles) {
        t.ok(
          Object.values(services).some((service) => service.profiles?.includes(profile)),
          command,
        )
      }
      const [verb, ...rest] = words
      // `$tty` is -T or nothing.
      const names = rest.filter((word) => !/^(?:-|\$tty)/.test(word))
      t.ok(['up', 'exec', 'run', 'cp', 'ps', 'logs'].includes(verb!), command)
      if (verb === 'up' || verb === 'logs')
        for (const name of names) t.ok(Object.hasOwn(services, name), command)
      if (verb === 'cp') {
        const [service] = names.find((name) => name.includes(':'))?.split(':') ?? ['']
        t.ok(Object.hasOwn(services, service!), command)
      }
      if (verb === 'exec' || verb === 'run') {
        const [service, program, ...more] = names
        t.ok(Object.hasOwn(services, service!), command)
        t.ok(program === 'relay' || program === 'cat', command)
        const name = more[0] ?? '"$@"'
        if (program === 'relay')
          t.ok(name.startsWith('"') || COMMANDS.some((one) => one.name === name), command)
      }
      count += 1
    }
  }
  t.ok(count > 8)
})
