/**
 * Spoils a valid post, for fuzz tests: its structure (types, keys, values that are known to hurt) or its bytes. All
 * chance comes from a seeded generator, so that a failure's seed gives the same post again.
 */
export type Random = () => number

/** The bytes of a spoiled post; often no JSON any more. `body` is valid JSON. */
export function mutateBody(body: string, random: Random): Uint8Array {
  if (random() < 0.7) return Buffer.from(JSON.stringify(mutateValue(JSON.parse(body), random)) ?? '', 'utf8')
  let bytes: Uint8Array = Buffer.from(body, 'utf8')
  for (let left = 1 + pickInteger(4, random); left > 0; left--)
    bytes = pick(BYTE_MUTATIONS, random)(bytes, random)
  return bytes
}

/** A spoiled copy of parsed JSON, as JSON.parse would give it: own keys may be `__proto__`. */
export function mutateValue(value: unknown, random: Random): unknown {
  const root: Node = { '': structuredClone(value) }
  for (let left = 1 + pickInteger(4, random); left > 0; left--) {
    pick(STRUCTURE_MUTATIONS, random)(pick(sitesOf(root), random), root, random)
  }
  return root['']
}

/** Values that have broken readers of JSON before. */
export const HOSTILE_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  0.1,
  1e21,
  1e-7,
  1e308,
  2 ** 53,
  1_767_225_600_000,
  [],
  {},
  [[]],
  [null],
  '',
  ' ',
  '0',
  '-0',
  '1e400',
  '1,5',
  'NaN',
  'null',
  '\u0000',
  '\ud800',
  'a\udfffb',
  '\u202e',
  '\u2028',
  '__proto__',
  '2026-02-30T00:00:00Z',
  'https://shop.example/?epik=%',
  'x'.repeat(5000),
  '1'.repeat(500),
  nest(500),
  JSON.parse('{"__proto__":{"em":"x"},"constructor":1,"toJSON":1,"length":9}'),
]

export const HOSTILE_KEYS = [
  '__proto__',
  'constructor',
  'toString',
  'toJSON',
  'length',
  '',
  '0',
  'em\u0000',
  '\ud800',
  'person@example.com',
  'k'.repeat(300),
] as const

type Node = Record<string, unknown>
interface Site {
  readonly parent: Node
  readonly key: string
}
type StructureMutation = (site: Site, root: Node, random: Random) => void
type ByteMutation = (bytes: Uint8Array, random: Random) => Uint8Array

const STRUCTURE_MUTATIONS: readonly StructureMutation[] = [
  (site, _, random) => put(site, structuredClone(pick(HOSTILE_VALUES, random))),
  (site, root, random) => put(site, structuredClone(valueAt(pick(sitesOf(root), random)))),
  (site) => put(site, retype(valueAt(site))),
  (site) => put(site, [valueAt(site)]),
  (site) => put(site, { value: valueAt(site) }),
  ({ parent, key }) => {
    if (key !== '') delete parent[key]
  },
  (site, _, random) => {
    const value = valueAt(site)
    if (Array.isArray(value)) value.push(...value.slice(0, 50))
    else if (typeof value === 'object' && value !== null) {
      put(
        { parent: value as Node, key: pick(HOSTILE_KEYS, random) },
        structuredClone(pick(HOSTILE_VALUES, random)),
      )
    } else if (typeof value === 'string') put(site, value.slice(pickInteger(value.length + 1, random)))
  },
]

const BYTE_MUTATIONS: readonly ByteMutation[] = [
  (bytes, random) => splice(bytes, pickInteger(bytes.length, random), 1, [pickInteger(256, random)]),
  (bytes, random) => splice(bytes, pickInteger(bytes.length, random), 1 + pickInteger(20, random), []),
  (bytes, random) => splice(bytes, pickInteger(bytes.length, random), 0, pick(HOSTILE_BYTES, random)),
  (bytes, random) => bytes.slice(0, pickInteger(bytes.length + 1, random)),
  (bytes, random) => {
    const from = pickInteger(bytes.length, random)
    return splice(
      bytes,
      pickInteger(bytes.length, random),
      0,
      bytes.slice(from, from + pickInteger(200, random)),
    )
  },
]

const HOSTILE_BYTES: readonly Uint8Array[] = [
  ...[
    '{',
    '}',
    '[',
    ']',
    '"',
    ',',
    ':',
    '\\',
    '\\ud800',
    '\\u0000',
    '1e999',
    'null,',
    '\n',
    '/*',
    '['.repeat(20_000),
  ].map((text) => Buffer.from(text, 'utf8')),
  Uint8Array.of(0xff),
  Uint8Array.of(0xc3),
  Uint8Array.of(0xed, 0xa0, 0x80),
  Uint8Array.of(0xef, 0xbb, 0xbf),
  Uint8Array.of(0),
]

/** Every place in the tree that holds a value, without recursion. */
function sitesOf(root: Node): Site[] {
  const sites: Site[] = [{ parent: root, key: '' }]
  for (let index = 0; index < sites.length && sites.length < 5000; index++) {
    const value = valueAt(sites[index]!)
    if (typeof value !== 'object' || value === null) continue
    for (const key of Object.keys(value)) sites.push({ parent: value as Node, key })
  }
  return sites
}

function valueAt({ parent, key }: Site): unknown {
  return Object.getOwnPropertyDescriptor(parent, key)?.value
}

/** An own key even if it is `__proto__`, as JSON.parse does it. */
function put({ parent, key }: Site, value: unknown): void {
  Object.defineProperty(parent, key, { value, writable: true, enumerable: true, configurable: true })
}

function retype(value: unknown): unknown {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string')
    return value.trim() === '' || Number.isNaN(Number(value)) ? value.length : Number(value)
  if (Array.isArray(value)) return value[0]
  return typeof value === 'object' && value !== null ? Object.entries(value) : String(value)
}

function splice(bytes: Uint8Array, start: number, deleted: number, inserted: ArrayLike<number>): Uint8Array {
  return Buffer.concat([bytes.subarray(0, start), Uint8Array.from(inserted), bytes.subarray(start + deleted)])
}

function nest(depth: number): unknown {
  let value: unknown = []
  for (let level = 0; level < depth; level++) value = [value]
  return value
}

function pick<T>(choices: readonly T[], random: Random): T {
  return choices[pickInteger(choices.length, random)]!
}

function pickInteger(limit: number, random: Random): number {
  return Math.floor(random() * limit)
}
