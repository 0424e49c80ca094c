/** Renders OpenAPI documents as a page for people: what can be asked, with what, and what comes back. Pure. */

export interface OpenApi {
  readonly info: { readonly title: string; readonly description: string }
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

export interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly description?: string
}

interface Operation {
  readonly summary: string
  readonly description?: string
  readonly tags?: readonly string[]
  readonly security?: readonly unknown[]
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly schema: Schema
    readonly description?: string
  }[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly description?: string; readonly content?: Content }>>
}

type Content = Readonly<Record<string, { readonly schema: Schema }>>

const OPENING = `# Routes

A running relay serves these descriptions as OpenAPI 3.1 on its admin port: \`GET /openapi/public.json\` and \`GET /openapi.json\`. What a
storefront does with the answers: [posting.md](posting.md). Every error is \`{code, message}\`.
`
/** As `block` renders it. */
const ERROR = '- `code`: integer\n- `message`: string'

export function renderApi(documents: readonly OpenApi[]): string {
  return `${[OPENING, ...documents.map(renderDocument)].join('\n').trimEnd()}\n`
}

function renderDocument(document: OpenApi): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  )
  const shown = new Map<string, string>()
  return [
    `## ${document.info.title}`,
    '',
    document.info.description,
    '',
    ...operations.map(({ name, operation }) => `- [\`${name}\`](#${anchorOf(name)}): ${operation.summary}`),
    '',
    ...operations.map(({ name, operation }) => renderOperation(name, operation, document, shown)),
  ].join('\n')
}

/** As GitHub makes them of headings. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}

/** `shown`: long lists that the page has already, with the place. */
function renderOperation(
  name: string,
  operation: Operation,
  { components }: OpenApi,
  shown: Map<string, string>,
): string {
  const { summary, description, parameters = [], requestBody, responses } = operation
  const schemas = components?.schemas ?? {}
  const list = (content: Content, where: string) => {
    const lines = block(schemaOf(content), schemas)
    const text = lines.join('\n')
    if (text === ERROR) return []
    const before = shown.get(text)
    if (before !== undefined && lines.length > 1) return [`The same as ${before}.`]
    shown.set(text, where)
    return lines
  }
  const link = `[\`${name}\`](#${anchorOf(name)})`
  const lines = [`### \`${name}\``, '', `${summary}.`, '']
  if (description !== undefined) lines.push(description, '')
  if (operation.security?.length === 0) lines.push('Without a token.', '')
  for (const { name: parameter, in: place, required, schema, description: about } of parameters) {
    lines.push(
      `- \`${parameter}\` (${place}${required ? '' : ', optional'}): ${describe(schema, schemas)}${sentence(about)}`,
    )
  }
  if (parameters.length > 0) lines.push('')
  if (requestBody !== undefined)
    lines.push('Body:', '', ...list(requestBody.content, `the body of ${link}`), '')
  for (const [status, { description: about, content }] of Object.entries(responses)) {
    if (status === '4XX') continue
    lines.push(`Answers ${status}${about && about !== 'Default Response' ? `: ${about}` : ''}`, '')
    if (content !== undefined) lines.push(...list(content, `what ${link} answers with ${status}`), '')
  }
  return lines.join('\n')
}

function schemaOf(content: Content): Schema {
  return Object.values(content)[0]!.schema
}

function sentence(text: string | undefined): string {
  return text === undefined ? '' : `. ${text}`
}

type Schemas = Readonly<Record<string, Schema>>

/** One line for a simple schema, a nested list for an object. */
function block(schema: Schema, schemas: Schemas, depth = 0): string[] {
  const seen = resolve(schema, schemas)
  const object = objectIn(seen, schemas)
  if (object?.properties === undefined) return [`${'  '.repeat(depth)}- ${describe(seen, schemas)}`]
  return Object.entries(object.properties).flatMap(([name, property]) => {
    const isOptional = !(object.required ?? []).includes(name)
    const about = property.description ?? resolve(property, schemas).description
    const line = `${'  '.repeat(depth)}- \`${name}\`${isOptional ? ' (optional)' : ''}: ${describe(property, schemas)}${sentence(about)}`
    const inner = objectIn(resolve(property, schemas), schemas)
    return inner?.properties === undefined ? [line] : [line, ...block(inner, schemas, depth + 1)]
  })
}

function resolve(schema: Schema, schemas: Schemas): Schema {
  return schema.$ref === undefined ? schema : (schemas[schema.$ref.split('/').at(-1)!] ?? {})
}

/** The object that a schema is, holds a list of, or may be null instead of. */
function objectIn(schema: Schema, schemas: Schemas): Schema | undefined {
  const seen = resolve(schema, schemas)
  if (seen.properties !== undefined) return seen
  const inner = [seen.items, ...(seen.anyOf ?? [])].filter((one) => one !== undefined)
  return inner.map((one) => objectIn(one, schemas)).find((one) => one !== undefined)
}

function describe(schema: Schema, schemas: Schemas): string {
  const seen = resolve(schema, schemas)
  if (seen.enum !== undefined) return seen.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (seen.const !== undefined) return `\`${JSON.stringify(seen.const)}\``
  const either = seen.anyOf ?? seen.oneOf
  if (either !== undefined && seen.properties === undefined) {
    return either.map((one) => describe(one, schemas)).join(' or ')
  }
  if (seen.type === 'array') return `list of ${describe(seen.items ?? {}, schemas)}`
  return seen.type ?? 'anything'
}
