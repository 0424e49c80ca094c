/**
 * What the chart uses of Helm's templates, since helm is not everywhere: if, else if, else, range, define, variables, pipelines, and
 * the functions below. Anything else throws, and so does a value that is not there.
 */
import { stringify } from 'yaml'

type Block =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly pipeline: string }
  | { readonly kind: 'set'; readonly name: string; readonly pipeline: string }
  | { readonly kind: 'if'; readonly branches: readonly Branch[] }
  | {
      readonly kind: 'range'
      readonly names: readonly string[]
      readonly pipeline: string
      readonly body: Body
    }
type Body = readonly Block[]

interface Branch {
  /** Undefined: else. */
  readonly pipeline: string | undefined
  readonly body: Body
}

interface Token {
  readonly isAction: boolean
  readonly text: string
}

type Values = Readonly<Record<string, unknown>>

/** `data`: what `.` is. A function in it is called with the words behind its name, as `.Files.Get` is. */
export function renderTemplate(template: string, data: Values): string {
  const named = new Map<string, Body>()
  const functions: Readonly<Record<string, (...given: never[]) => unknown>> = {
    eq: (one: unknown, other: unknown) => one === other,
    not: (value: unknown) => !isTrue(value),
    and: (one: unknown, other: unknown) => (isTrue(one) ? other : one),
    quote: (value: unknown) => JSON.stringify(String(value)),
    toYaml: (value: unknown) => stringify(value).trimEnd(),
    indent: (count: number, text: string) => text.replaceAll(/^/gm, ' '.repeat(count)),
    nindent: (count: number, text: string) => `\n${text.replaceAll(/^/gm, ' '.repeat(count))}`,
    include: (name: string) => execute(named.get(name)!, {}),
  }
  const tokens = readTokens(template)
  const body = readBody(tokens, named)
  if (tokens.length > 0) throw new Error(`{{ ${tokens[0]!.text} }} closes nothing`)
  return execute(body, {})

  function execute(blocks: Body, variables: Values): string {
    let known = variables
    let output = ''
    for (const block of blocks) {
      if (block.kind === 'text') output += block.text
      else if (block.kind === 'output') output += String(evaluate(block.pipeline, known))
      else if (block.kind === 'set') known = { ...known, [block.name]: evaluate(block.pipeline, known) }
      else if (block.kind === 'if') {
        const isTaken = ({ pipeline }: Branch) => pipeline === undefined || isTrue(evaluate(pipeline, known))
        output += execute(block.branches.find(isTaken)?.body ?? [], known)
      } else {
        const [key = '', value = ''] = block.names
        const entries = Object.entries(evaluate(block.pipeline, known) as object)
        for (const [one, other] of entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
          output += execute(block.body, { ...known, [key]: one, [value]: other as unknown })
      }
    }
    return output
  }

  function evaluate(pipeline: string, variables: Values): unknown {
    let result: unknown
    for (const [index, command] of pipeline.split(' | ').entries()) {
      const [first = '', ...rest] = command.match(/"[^"]*"|\([^)]*\)|\S+/g) ?? []
      const given = rest.map((word) => valueOf(word, variables, []))
      if (index > 0) given.push(result)
      const known = functions[first] as ((...given: readonly unknown[]) => unknown) | undefined
      result = known === undefined ? valueOf(first, variables, given) : known(...given)
    }
    return result
  }

  function valueOf(word: string, variables: Values, given: readonly unknown[]): unknown {
    if (word.startsWith('(')) return evaluate(word.slice(1, -1), variables)
    if (/^["\d]/.test(word)) return JSON.parse(word)
    const [start = '', ...path] = word.split('.')
    let value: unknown = start === '' ? data : variables[start]
    for (const key of path) if (key !== '') value = (value as Values | undefined)?.[key]
    if (value === undefined) throw new Error(`There is no ${word}`)
    return typeof value === 'function'
      ? (value as (...given: readonly unknown[]) => unknown)(...given)
      : value
  }
}

/** A dash at the inner side of a brace takes the white space on its other side away. */
function readTokens(template: string): Token[] {
  return template
    .split(/(\s*\{\{- .*? -\}\}\s*|\s*\{\{- .*?\}\}|\{\{.*? -\}\}\s*|\{\{.*?\}\})/)
    .map((text, index) =>
      index % 2 === 0
        ? { isAction: false, text }
        : { isAction: true, text: /\{\{-? *(.*?) *-?\}\}/.exec(text)![1]! },
    )
}

/** Takes tokens up to `else` or `end`, which it leaves. */
function readBody(tokens: Token[], named: Map<string, Body>): Body {
  const body: Block[] = []
  for (;;) {
    const [token] = tokens
    if (token === undefined || (token.isAction && /^(else|end)\b/.test(token.text))) return body
    tokens.shift()
    const { isAction, text } = token
    const [word = '', ...rest] = text.split(' ')
    const pipeline = rest.join(' ')
    if (!isAction) body.push({ kind: 'text', text })
    else if (word === 'if') body.push({ kind: 'if', branches: readBranches(pipeline, tokens, named) })
    else if (word === 'define') named.set(JSON.parse(pipeline) as string, readClosed(tokens, named))
    else if (word === 'range') {
      const [, names = '', over = ''] = /^(.*) := (.*)$/.exec(pipeline) ?? []
      body.push({ kind: 'range', names: names.split(', '), pipeline: over, body: readClosed(tokens, named) })
    } else if (rest[0] === ':=') body.push({ kind: 'set', name: word, pipeline: rest.slice(1).join(' ') })
    else body.push({ kind: 'output', pipeline: text })
  }
}

function readBranches(first: string, tokens: Token[], named: Map<string, Body>): Branch[] {
  const branches: Branch[] = [{ pipeline: first, body: readBody(tokens, named) }]
  for (;;) {
    const [, isElse, pipeline] = /^(?:(else)(?: if (.*))?|end)$/.exec(tokens.shift()?.text ?? 'nothing') ?? []
    if (isElse === undefined) return branches
    branches.push({ pipeline, body: readBody(tokens, named) })
  }
}

function readClosed(tokens: Token[], named: Map<string, Body>): Body {
  const body = readBody(tokens, named)
  if (tokens.shift()?.text !== 'end') throw new Error('An end is missing')
  return body
}

/** As Go has it: nothing, and what is empty, is false. */
function isTrue(value: unknown): boolean {
  return typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value)
}
