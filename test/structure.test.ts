/**
 * Which part of `src` may import which. Sizes of files and functions, and circles between files, are the linter's: .oxlintrc.json.
 * Known exceptions are listed in both; the lists may only shrink.
 */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

/** From top to bottom: a part imports what is below it, and nothing above or beside it. So there is no circle of parts. */
const LAYERS: readonly string[] = [
  'main.ts',
  'cli.ts',
  'cli',
  'start-guide.ts',
  'relay.ts',
  'replicas.ts',
  'admin',
  'ingest',
  'delivery',
  'store',
  'vault',
  'sources',
  'limits',
  'pinterest',
  'settings.ts',
  'clock-watch.ts',
  'telemetry',
  'events',
  'clock.ts',
  'slots.ts',
  'errors.ts',
  'type.ts',
]

/** Each imports what is above it, and should not. */
const KNOWN_UPWARD: ReadonlySet<string> = new Set([
  'limits/shared-limits.ts → store/shared.ts',
  'settings.ts → store/postgres/database-url.ts',
])

interface Import {
  readonly from: string
  readonly to: string
}

/** What reading settings needs of them. */
const KNOWN_IN_FRONT: ReadonlySet<string> = new Set(['store/postgres/database-url.ts'])

const root = fileURLToPath(new URL('..', import.meta.url))
const src = join(root, 'src')

/** Of types, too. Paths are from `src`. */
const imports: readonly Import[] = globSync('**/*.ts', { cwd: src }).flatMap((from) => {
  const text = readFileSync(join(src, from), 'utf8')
  const named = text.matchAll(/^(?:import|export)\b[^'";]*? from '(\.[^']+\.ts)'|\bimport\('(\.[^']+)'\)/gm)
  return Array.from(named, ([, fixed, late]) => ({ from, to: join(dirname(from), (fixed ?? late)!) }))
})

/** All that importing a file loads: types are not, nor is what only some start asks for. */
function loadedFrom(entry: string): Set<string> {
  const loaded = new Set<string>()
  const load = (path: string) => {
    if (loaded.has(path)) return
    loaded.add(path)
    const text = readFileSync(join(src, path), 'utf8')
    for (const [, names, to] of text.matchAll(/^(?:import|export)\b([^'";]*?) from '(\.[^']+\.ts)'/gm)) {
      const isType = /^ type\b/.test(names!) || /^ \{\s*(type [^,}]+,?\s*)+\}$/.test(names!)
      if (!isType) load(join(dirname(path), to!))
    }
  }
  load(entry)
  return loaded
}

const partOf = (path: string) => path.split('/')[0]!
const show = ({ from, to }: Import) => `${from} → ${to}`

t.test('every part of src has a place in the order', async (t) => {
  t.ok(imports.length > 500)
  const parts = new Set(
    globSync('**/*.ts', { cwd: src })
      .map(partOf)
      .filter((part) => part !== 'console'),
  )
  for (const part of parts) t.ok(LAYERS.includes(part), `${part}: add it to LAYERS`)
  for (const part of LAYERS) t.ok(parts.has(part), `${part} is gone: take it off`)
})

t.test("CONTRIBUTING's map has every part of src, its folders in the order of the imports", async (t) => {
  const map =
    /^## The parts of src$([^]*?)^## /m.exec(readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8'))?.[1] ?? ''
  const rows = map.split('\n').filter((line) => line.startsWith('| `'))
  const named = rows.flatMap((row) =>
    Array.from(row.split('|')[1]!.matchAll(/`([\w.-]+)`/g), ([, name]) => name!),
  )
  const folders = LAYERS.filter((part) => !part.endsWith('.ts'))
  t.strictSame(
    named.filter((name) => folders.includes(name)),
    folders,
  )
  for (const name of named) t.ok(existsSync(join(src, name)), name)
  for (const part of [...LAYERS, 'console']) t.ok(named.includes(part), part)
})

t.test('imports point downwards', async (t) => {
  const isUpward = ({ from, to }: Import) =>
    partOf(from) !== partOf(to) && LAYERS.indexOf(partOf(to)) <= LAYERS.indexOf(partOf(from))
  compare(t, imports.filter(isUpward), KNOWN_UPWARD)
})

t.test('neither SQLite nor PostgreSQL imports the other, and what both use imports neither', async (t) => {
  const storeOf = (path: string) => /^store\/(sqlite|postgres|core)\//.exec(path)?.[1]
  const isAcross = ({ from, to }: Import) => {
    const [one, other] = [storeOf(from), storeOf(to)]
    return one !== undefined && one !== other && (other === 'sqlite' || other === 'postgres')
  }
  t.same(imports.filter(isAcross).map(show), [])
})

t.test("the front does not load what prepares events: that is the engine's", async (t) => {
  const loaded = loadedFrom('main.ts')
  t.ok(loaded.has('ingest/post-events.ts') && loaded.has('store/engine/engine.ts'))
  const heavy =
    /^sources\/(?!source)|^events\/(prepare|user-data|body)|^events\/normalize\/(?!country|fold|clean-text|nothing)|^store\/(sqlite|postgres)\//
  t.same(
    [...loaded].filter((path) => heavy.test(path)).filter((path) => !KNOWN_IN_FRONT.has(path)),
    [],
  )
})

t.test('the engine loads no log: what it has to say, the front writes', async (t) => {
  const loaded = ['store/engine/thread.ts', 'store/sqlite/open.ts', 'store/postgres/open.ts'].flatMap(
    (entry) => [...loadedFrom(entry)],
  )
  t.ok(loaded.length > 50)
  t.notOk(loaded.includes('telemetry/log.ts'))
})

t.test(
  'a command starts without schemas and logs, whose packages take longer to load than most commands',
  async (t) => {
    const packages = packagesOf([...loadedFrom('cli.ts')])
    t.same(packages, new Set(['@fastify/error']))
  },
)

/** What these files load that is neither theirs nor Node's. */
function packagesOf(paths: readonly string[]): Set<string> {
  const imported = paths.flatMap((path) => {
    const text = readFileSync(join(src, path), 'utf8')
    return Array.from(text.matchAll(/^import (?!type\b)[^'";]* from '([^.'][^']*)'/gm), ([, name]) => name!)
  })
  return new Set(imported.filter((name) => !name.startsWith('node:')))
}

t.test('only the entries touch the process', async (t) => {
  const touching = globSync('**/*.ts', { cwd: src }).filter((path) =>
    /\bprocess\.(env|argv|exit|exitCode|on)\b/.test(readFileSync(join(src, path), 'utf8')),
  )
  t.same(touching.toSorted(), ['cli.ts', 'main.ts'])
})

t.test('each exception of the linter is about a file that exists', async (t) => {
  const { overrides } = JSON.parse(readFileSync(join(root, '.oxlintrc.json'), 'utf8')) as {
    overrides: { files: string[] }[]
  }
  const files = overrides.flatMap((override) => override.files).filter((path) => !path.includes('*'))
  for (const path of files) t.ok(existsSync(join(root, path)), path)
})

function compare(t: Test, found: readonly Import[], known: ReadonlySet<string>): void {
  const shown = new Set(found.map(show))
  for (const one of shown) t.ok(known.has(one), `${one} is new`)
  for (const one of known) t.ok(shown.has(one), `${one} is gone: take it off the list`)
}
