/**
 * Renders the chart as `helm template` does, where no helm can be had: by Go's own template engine, without Helm's functions. Those that the
 * chart uses (include, quote, toYaml with nindent, .Files.Get with indent) are replaced before.
 */
import { parse as execute } from '@evertdespiegeleer/go-template'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Check } from 'typebox/schema'
import { parse, parseAllDocuments, stringify } from 'yaml'

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

export async function render(given: Values = {}): Promise<readonly Manifest[]> {
  const values = withDefaults(given)
  if (!isValid(values)) throw new Error('the schema refuses these values')
  const files = readdirSync(`${FOLDER}templates`).filter((name) => name.endsWith('.yaml'))
  const texts = await Promise.all(files.map((name) => renderText(read(`templates/${name}`), values)))
  return texts.flatMap((text) =>
    parseAllDocuments(text).flatMap((document) => {
      if (document.errors.length > 0) throw new Error(`${String(document.errors[0])}\n${text}`)
      const manifest = document.toJS() as Manifest | null
      return manifest === null ? [] : [manifest]
    }),
  )
}

export const readNotes = () => renderText(read('templates/NOTES.txt'), DEFAULTS)

function renderText(template: string, values: Values): Promise<string> {
  const release = { Name: 'shop', Namespace: 'relays', Service: 'Helm' }
  const chart = { Name: CHART['name'], Version: CHART['version'], AppVersion: CHART['appVersion'] }
  const data = { Values: values, Release: release, Chart: chart }
  return execute(withoutHelm(NAMES + template, values), data)
}

function withoutHelm(template: string, values: Values): string {
  const indent = (text: string, count: string) => text.replaceAll(/^(?=.)/gm, ' '.repeat(Number(count)))
  const asText = (text: string) => text.replaceAll('{{', '{{ "{{" }}')
  return template
    .replaceAll(/\{\{-? include ("\w+") \. \| quote \}\}/g, '"{{ template $1 . }}"')
    .replaceAll(/\{\{ include ("\w+") \. \}\}/g, '{{ template $1 . }}')
    .replaceAll('| quote }}', '| printf "%q" }}')
    .replaceAll(
      /\s*\{\{- toYaml \.Values\.([\w.]+) \| nindent (\d+) \}\}/g,
      (_, path: string, count: string) => {
        const value = path
          .split('.')
          .reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], values)
        return `\n${indent(asText(stringify(value).trimEnd()), count)}`
      },
    )
    .replaceAll(/\{\{ \.Files\.Get "([\w./]+)" \| indent (\d+) \}\}/g, (_, path: string, count: string) =>
      asText(indent(read(path).trimEnd(), count)),
    )
}

function merge(base: unknown, given: unknown): unknown {
  if (!isMap(base) || !isMap(given)) return given === undefined ? base : given
  const keys = new Set([...Object.keys(base), ...Object.keys(given)])
  return Object.fromEntries(Array.from(keys, (key) => [key, merge(base[key], given[key])]))
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
