/** What each command is made of, and what several have in common. */
import type { AdminClient } from './admin-client.ts'
import { renderTable, type Columns } from './table.ts'
import { misused, type Terminal } from './terminal.ts'

export interface Command {
  /** One or two words: `status`, `account list`. */
  readonly name: string
  /**
   * What follows the name, for `--help` and for the parser: `--label TEXT` takes a value, `--yes` does not. N is a number,
   * JSON is parsed; an option with a value that is not in brackets must be given.
   */
  readonly words: string
  readonly does: string
  /** Undefined: it has printed everything. */
  run(invocation: Invocation): Promise<Result | undefined>
}

export interface Result {
  /** What `--json` prints. */
  readonly answer: unknown
  /** What people read. */
  readonly text: string
  /** A line on standard error after it. */
  readonly note?: string | false
  /** Done in part: exit code 3. */
  readonly isPartial?: boolean
}

export interface Invocation {
  readonly positionals: readonly string[]
  readonly options: Options
  readonly isJson: boolean
  /** Of the relay that the command is for: the one of ADMIN_URL, or of --cell. */
  readonly admin: AdminClient
  /** Of all addresses of ADMIN_URL. */
  readonly admins: readonly AdminClient[]
  readonly terminal: Terminal
}

export type Options = Readonly<Record<string, Value | undefined>>
type Value = string | boolean | number | object
/** Of a query or a body. */
export type Fields = Readonly<Record<string, Value>>

/** Where an option has a shorter name than the field. */
const FIELDS: Readonly<Record<string, string>> = {
  account: 'ad_account_id',
  event: 'event_name',
  order: 'order_id',
}

/** The options that were given, as the admin port calls them; `--live` and `--test` are its `test`. `own`: are no fields. */
export function fieldsOf({ live, ...options }: Options, own: readonly string[] = []): Fields {
  if (options['test'] === true && live === true) throw misused('--test and --live are opposites.')
  const fields = Object.entries(options).flatMap(([option, value]) =>
    value === undefined || own.includes(option)
      ? []
      : [[FIELDS[option] ?? option.replaceAll('-', '_'), value] as const],
  )
  return { ...Object.fromEntries(fields), ...(live === true && { test: false }) }
}

/** `?` and the fields, or nothing where there are none. */
export function queryOf(fields: Fields): string {
  const textFor = (value: Value) => (typeof value === 'object' ? JSON.stringify(value) : String(value))
  const texts = Object.entries(fields).map(([name, value]) => [name, textFor(value)] as [string, string])
  return texts.length === 0 ? '' : `?${new URLSearchParams(texts).toString()}`
}

/** How this command is typed: `npm run relay` sets the variable. */
export const typedAs = ({ environment }: Terminal) =>
  environment['npm_lifecycle_event'] === 'relay' ? 'npm run --silent relay --' : 'relay'

/** What a status says that a person has to do, with commands and address as they are typed. */
export function remedyFor(
  { admin, terminal }: Pick<Invocation, 'admin' | 'terminal'>,
  adAccountId: string,
  remedy: string,
): string {
  return remedy
    .replaceAll(/\b(account (?:resume|set|verify))\b/g, `${typedAs(terminal)} $1 ${adAccountId}`)
    .replace('/accounts/{id}/authorize of the admin port', consentUrl(admin, adAccountId))
}

type Family = 'account' | 'key' | 'source'

/** The route of what the first argument names. */
export function pathOf(family: Family, { positionals: [id = ''] }: Invocation): string {
  return `/${family}s/${encodeURIComponent(id)}`
}

export const consentUrl = (admin: AdminClient, adAccountId: string) =>
  `${admin.browserUrl}/accounts/${adAccountId}/authorize`

/** An option's text; undefined when it is not given. */
export function textOf(value: Value | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export async function readSecret(terminal: Terminal, prompt: string, complaint: string): Promise<string> {
  const secret = (await terminal.readSecret(prompt)).trim()
  if (secret === '') throw misused(complaint)
  return secret
}

export const NO_TOKEN = 'No token came from standard input.'

/** `complaint`: what a text that is no JSON gets. */
export function parseJson(text: string, complaint: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw misused(complaint)
  }
}

/** `… list`: all there are of a family. */
export function listing<Row>(family: Family, does: string, columns: Columns<Row>): Command {
  return {
    name: `${family} list`,
    words: '',
    does,
    async run({ admin }) {
      const answer = await admin.get<Record<string, readonly Row[]>>(`/${family}s`)
      return { answer, text: renderTable(columns, answer[`${family}s`]!, `no ${family}s`) }
    },
  }
}

/** `… rm`. */
export function removal(family: Family, words: string, does: string): Command {
  return {
    name: `${family} rm`,
    words,
    does,
    async run(invocation) {
      await invocation.admin.send('DELETE', pathOf(family, invocation))
      return { answer: {}, text: `${family} ${invocation.positionals[0]} is removed` }
    },
  }
}

const DEFAULT_LIMIT = 100
/** What one request may ask for. */
const PAGE_ITEMS = 1000

/** Page after page, up to `--limit`: a page may be short and still have a next one. `name`: what the answer calls them. */
export async function readPages<
  Answer extends { readonly next_cursor: string | null },
  Name extends keyof Answer,
>({ admin, options }: Pick<Invocation, 'admin' | 'options'>, path: string, name: Name) {
  const limit = Number(options['limit'] ?? DEFAULT_LIMIT)
  const found: unknown[] = []
  for (let cursor: object = {}; ;) {
    const query = queryOf({
      ...fieldsOf(options),
      limit: Math.min(PAGE_ITEMS, limit - found.length),
      ...cursor,
    })
    const last = await admin.get<Answer>(path + query)
    found.push(...(last[name] as readonly unknown[]))
    const { next_cursor: nextCursor } = last
    if (nextCursor === null || found.length >= limit) {
      const note = nextCursor !== null && 'there are more: --limit shows more of them'
      return {
        last,
        found: found as unknown as Answer[Name],
        answer: { [name]: found, next_cursor: nextCursor },
        note,
      }
    }
    cursor = { cursor: nextCursor }
  }
}
