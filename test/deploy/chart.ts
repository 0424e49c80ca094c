/** The chart as `helm template` makes manifests of it. .github/workflows/ci.yml does so with helm itself. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Check } from 'typebox/schema'
import { parse, parseAllDocuments } from 'yaml'
import { renderTemplate } from './template.ts'

export interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly spec: unknown
}

export type Values = Readonly<Record<string, unknown>>

const FOLDER = fileURLToPath(new URL('../../deploy/chart/', import.meta.url))
const read = (path: string) => readFileSync(FOLDER + path, 'utf8')

export const CHART = parse(read('Chart.yaml')) as Readonly<Record<string, string>>
export const DEFAULTS = parse(read('values.yaml')) as Values
const SCHEMA = JSON.parse(read('values.schema.json')) as object
const NAMES = read('templates/_names.tpl')

/** What `helm` does with values before it renders. */
export function withDefaults(given: Values): Values {
  return merge(DEFAULTS, given) as Values
}

export function isValid(values: Values): boolean {
  return Check(SCHEMA, values)
}

export function render(given: Values = {}): readonly Manifest[] {
  const values = withDefaults(given)
  if (!isValid(values)) throw new Error('the schema refuses these values')
  const files = readdirSync(`${FOLDER}templates`).filter((name) => name.endsWith('.yaml'))
  return files.flatMap((name) => {
    const text = renderText(read(`templates/${name}`), values)
    return parseAllDocuments(text).flatMap((document) => {
      if (document.errors.length > 0) throw new Error(`${String(document.errors[0])}\n${text}`)
      const manifest = document.toJS() as Manifest | null
      return manifest === null ? [] : [manifest]
    })
  })
}

export const readNotes = () => renderText(read('templates/NOTES.txt'), DEFAULTS)

function renderText(template: string, values: Values): string {
  return renderTemplate(NAMES + template, {
    Values: values,
    Release: { Name: 'shop', Namespace: 'relays', Service: 'Helm' },
    Chart: { Name: CHART['name'], Version: CHART['version'], AppVersion: CHART['appVersion'] },
    Files: { Get: (path: string) => read(path).trimEnd() },
  })
}

function merge(base: unknown, given: unknown): unknown {
  if (!isMap(base) || !isMap(given)) return given === undefined ? base : given
  const keys = new Set([...Object.keys(base), ...Object.keys(given)])
  return Object.fromEntries(Array.from(keys, (key) => [key, merge(base[key], given[key])]))
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
