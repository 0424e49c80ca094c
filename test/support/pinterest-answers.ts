/**
 * Pinterest's answers to a post as the strictest of its clients read them: its own description, closed at every level. Clients
 * that are generated from it (Go, Java) refuse a member that it does not name.
 */
import { readFileSync } from 'node:fs'
import { Compile } from 'typebox/schema'

interface Shape {
  readonly type?: string
  readonly items?: Shape
  readonly properties?: Readonly<Record<string, Shape>>
}

const { answer, error } = JSON.parse(
  readFileSync(new URL('../ingest/pinterest-events-create.json', import.meta.url), 'utf8'),
) as { readonly answer: Shape; readonly error: Shape & { readonly required: readonly string[] } }

/** `details` is an object of any kind in Pinterest's description; in its answers it is the body of a 200. */
const DETAILED_ERROR = {
  ...error,
  required: [...error.required, 'details'],
  properties: { ...error.properties, details: answer },
}

const RESULTS = Compile(close(answer))
const PARTLY = Compile(close(DETAILED_ERROR))
const ERROR = Compile(close(error))

/** What of the body is not Pinterest's, by place; empty when all is. */
export function differencesFromPinterest(status: number, body: unknown): string[] {
  const schema = status === 200 || status === 202 ? RESULTS : status === 422 ? PARTLY : ERROR
  const [, errors] = schema.Errors(body)
  return errors.map(({ instancePath, message }) => `${status}: ${instancePath} ${message}`)
}

function close(shape: Shape): Shape {
  return {
    ...shape,
    ...(shape.items && { items: close(shape.items) }),
    ...(shape.properties && {
      additionalProperties: false,
      properties: Object.fromEntries(
        Object.entries(shape.properties).map(([name, inner]) => [name, close(inner)]),
      ),
    }),
  }
}
