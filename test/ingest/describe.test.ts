/** The description of the public port beside Pinterest's own of the same thing; each difference is meant, and named here. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { describePublicPort } from '../../src/ingest/describe.ts'

interface Shape {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly maxItems?: number
  readonly pattern?: string
  readonly items?: Shape
  readonly properties?: Readonly<Record<string, Shape>>
  readonly anyOf?: readonly Shape[]
  readonly oneOf?: readonly Shape[]
}

interface Facts {
  readonly path: string
  readonly operationId: string
  readonly parameters: readonly { readonly name: string; readonly schema: Shape }[]
  readonly statuses: readonly number[]
  readonly request: Shape
  readonly answer: Shape
  readonly error: Shape
}

interface Response {
  readonly headers?: object
  readonly content?: { readonly 'application/json': { readonly schema: Shape } }
}

interface Post {
  readonly operationId: string
  readonly parameters: Facts['parameters']
  readonly requestBody: { readonly content: { readonly 'application/json': { readonly schema: Shape } } }
  readonly responses: Readonly<Record<string, Response>>
}

const pinterest = JSON.parse(
  readFileSync(new URL('./pinterest-events-create.json', import.meta.url), 'utf8'),
) as Facts
const document = describePublicPort('test') as {
  paths: Readonly<Record<string, { readonly post: Post }>>
  components: { readonly schemas: Readonly<Record<string, Shape>> }
}
const { post } = document.paths[`/v5${pinterest.path}`]!

/** What the relay describes otherwise, by the path of the property, and why. */
const DIFFERENCES: ReadonlyMap<string, string> = new Map([
  [': closed', 'the relay takes unknown keys beside `data`, and drops them'],
])

function resolve(shape: Shape): Shape {
  return shape.$ref === undefined ? shape : document.components.schemas[shape.$ref.split('/').at(-1)!]!
}

/** Where the relay's schema says other things than Pinterest's, as sentences. Only looser or missing ones count. */
function compare(theirs: Shape, given: Shape, path: string): string[] {
  const ours = resolve(given)
  const found: string[] = []
  const kinds = ours.oneOf?.map(({ type }) => type) ?? [ours.type ?? (ours.enum ? 'string' : undefined)]
  if (theirs.type !== undefined && !kinds.includes(theirs.type)) found.push(`${path}: type ${theirs.type}`)
  if (theirs.enum && ours.enum && theirs.enum.some((value) => !ours.enum!.includes(value)))
    found.push(`${path}: enum`)
  for (const bound of ['maxLength', 'maximum', 'maxItems'] as const) {
    const limit = theirs[bound]
    if (limit !== undefined && !((ours[bound] ?? Infinity) <= limit)) found.push(`${path}: ${bound}`)
  }
  if (theirs.minimum !== undefined && !((ours.minimum ?? -Infinity) >= theirs.minimum))
    found.push(`${path}: minimum`)
  for (const name of theirs.required ?? [])
    if (!ours.required?.includes(name)) found.push(`${path}.${name}: required`)
  if (theirs.additionalProperties === false && ours.additionalProperties !== false)
    found.push(`${path}: closed`)
  if (theirs.items && ours.items) found.push(...compare(theirs.items, ours.items, path))
  const names = new Set([...Object.keys(theirs.properties ?? {}), ...Object.keys(ours.properties ?? {})])
  for (const name of theirs.properties ? names : []) {
    const [one, other] = [theirs.properties![name], ours.properties?.[name]]
    const where = path === '' ? name : `${path}.${name}`
    if (one === undefined) found.push(`${where}: not Pinterest's`)
    else if (other === undefined) found.push(`${where}: missing`)
    else found.push(...compare(one, other, where))
  }
  return found
}

t.test('the operation is the same', async (t) => {
  t.equal(post.operationId, pinterest.operationId)
  for (const { name, schema } of pinterest.parameters) {
    t.match(post.parameters.find((parameter) => parameter.name === name)?.schema, schema, name)
  }
  for (const status of pinterest.statuses) t.ok(String(status) in post.responses, `${status}`)
})

t.test('the event has the same fields, of the same types, within the same bounds', async (t) => {
  const found = compare(pinterest.request, post.requestBody.content['application/json'].schema, '')
  t.strictSame(
    found.filter((difference) => !DIFFERENCES.has(difference)),
    [],
  )
  const anyOf = document.components.schemas['Event']!.properties!['user_data']!.anyOf
  t.same(anyOf, pinterest.request.properties!['data']!.items!.properties!['user_data']!.anyOf)
})

t.test('answers and errors have the same fields', async (t) => {
  t.strictSame(compare(pinterest.answer, document.components.schemas['Answer']!, ''), [])
  const schemaOf = (status: number) => post.responses[status]?.content?.['application/json'].schema
  for (const status of [200, 202]) t.same(schemaOf(status), { $ref: '#/components/schemas/Answer' })
  const partly = schemaOf(422)
  t.same(Object.keys(partly?.properties ?? {}), [...Object.keys(pinterest.error.properties!), 'details'])
  t.same(partly?.properties?.['details'], { $ref: '#/components/schemas/Answer' })
  for (const status of [200, 202, 422]) t.ok('Relay-Queued' in (post.responses[status]?.headers ?? {}))
  t.strictSame(compare(pinterest.error, document.components.schemas['Error']!, ''), [])
})

t.test('the comparison notices what is missing, mistyped, unbounded, open or made up', async (t) => {
  const theirs: Shape = {
    type: 'object',
    additionalProperties: false,
    required: ['a'],
    properties: { a: { type: 'string', maxLength: 5 }, b: { type: 'integer' }, c: { type: 'string' } },
  }
  const ours: Shape = {
    type: 'object',
    properties: { a: { type: 'string' }, b: { type: 'string' }, d: { type: 'string' } },
  }
  t.same(compare(theirs, ours, 'x').toSorted(), [
    'x.a: maxLength',
    'x.a: required',
    'x.b: type integer',
    'x.c: missing',
    "x.d: not Pinterest's",
    'x: closed',
  ])
})
