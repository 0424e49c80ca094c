/**
 * The settings: one schema, read once from the environment, frozen, passed down. Every problem is named at once, by the
 * setting's name and never by its value.
 */
import ipaddr from 'ipaddr.js'
import { Type, type Static, type TSchema } from './type.ts'
import { Check } from 'typebox/schema'
import { BadSettings } from './errors.ts'
import { LOG_LEVELS } from './telemetry/log.ts'
import { parseDatabaseUrl } from './store/postgres/database-url.ts'

/** `rule` completes "NAME must be …"; docs/settings.md and `relay settings` show `description`, and no value of an `isSecret`. */
const number = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({
    minimum,
    maximum,
    default: value,
    rule: `a whole number from ${minimum} to ${maximum}`,
    description,
  })
const text = (rule: string, pattern: string, description: string, value?: string) =>
  Type.String({ pattern, rule, description, ...(value === undefined ? {} : { default: value }) })
const flag = (meaning: string) =>
  Type.Unsafe<boolean>(
    Type.Enum(['true', 'false'], {
      default: 'false',
      rule: 'true or false',
      description: `true: ${meaning}`,
      read: (text: string) => text === 'true',
    }),
  )
const list = (
  rule: string,
  pattern: string,
  description: string,
  isItem: (item: string) => boolean = () => true,
) =>
  Type.Unsafe<readonly string[]>(
    Type.String({
      pattern,
      rule: `a comma list of ${rule}`,
      description,
      default: '',
      read: (text: string) => readList(text, isItem),
    }),
  )
const secret = (rule: string, pattern: string, description: string) =>
  Type.Optional(Type.String({ pattern, rule, description, isSecret: true }))
const masterKey = (description: string) =>
  secret('32 bytes in base64', '^[A-Za-z0-9+/_-]{43}=?$', description)
/** By convention: in upper or in lower case, with or without a scheme, with a user and a password or none. */
const proxy = (description: string) =>
  Type.Optional(
    Type.String({
      pattern: '^([Hh][Tt][Tt][Pp][Ss]?://)?[^\\s/?#\\\\]+/?$',
      rule: 'host:port, or an http or https URL without path',
      description,
      isLowerCaseToo: true,
      read: proxyUrl,
    }),
  )
const url = (description: string, value?: string) => ({
  ...text('an http or https URL without query or fragment', '^https?://[^\\s?#]+$', description, value),
  read: (text: string) => (URL.canParse(text) ? text : undefined),
})

export const SettingsSchema = Type.Object({
  CELL: Type.Optional(
    text(
      'a to z, digits and hyphens',
      '^[a-z0-9-]{1,63}$',
      'the name of its cell, where the gateway spreads accounts over several (docs/scaling.md)',
    ),
  ),
  HOST: text('an address', '^\\S+$', 'address of the public port; 0.0.0.0 in the image', '127.0.0.1'),
  PORT: number(8080, 0, 65_535, 'public port; 0: any free one'),
  ADMIN_HOST: text('an address', '^\\S+$', 'address of the admin port', '127.0.0.1'),
  ADMIN_PORT: number(8081, 0, 65_535, 'admin port; 0: any free one'),
  ADMIN_HOSTS: list(
    'host names',
    '^[A-Za-z0-9._ ,-]*$',
    'names that the admin port answers to, beside localhost, ADMIN_HOST, the host of ADMIN_PUBLIC_URL and any address',
  ),
  ADMIN_TOKEN: secret(
    '16 to 512 visible ASCII characters',
    '^[!-~]{16,512}$',
    'token of the admin port; unset: made at the first start and kept beside the store. Required with PostgreSQL',
  ),
  ADMIN_PUBLIC_URL: Type.Optional({
    ...url('where browsers reach the admin port; Pinterest leads back there after a consent'),
    rule: 'an http or https URL without user, path or query',
    // The console's own addresses begin at the root.
    pattern: '^https?://[^\\s?#@/]+$',
  }),
  DATABASE_URL: text(
    'sqlite: and the path of a file, or postgres:// and a database',
    '^(sqlite:(?!:|file:).*[^/:]|postgres(ql)?://\\S+)$',
    'the store; PostgreSQL is for several replicas',
    'sqlite:./data/relay.db',
  ),
  MASTER_KEY: masterKey(
    'seals tokens and events; unset: made at the first start and kept beside the store. Required with PostgreSQL',
  ),
  MASTER_KEY_PREVIOUS: masterKey('opens what an earlier MASTER_KEY sealed'),
  PINTEREST_API_URL: url('the Pinterest API, or the sandbox', 'https://api.pinterest.com/v5'),
  PINTEREST_CONSENT_URL: url('where people consent', 'https://www.pinterest.com/oauth/'),
  HTTPS_PROXY: proxy('proxy for calls to Pinterest at an https address, also as https_proxy'),
  HTTP_PROXY: proxy('the same for an http address, also as http_proxy'),
  NO_PROXY: Type.Optional(
    Type.String({
      rule: 'a comma list of hosts',
      description: 'hosts (with their subdomains) that are called directly, or *; also as no_proxy',
      isLowerCaseToo: true,
    }),
  ),
  POSTS_PER_MINUTE: number(
    5000,
    0,
    1_000_000,
    'posts per ad account, at once and per minute; 0: no limit. An account may have its own',
  ),
  CALLS_PER_MINUTE: number(5000, 2, 1_000_000, 'calls to Pinterest per ad account in any 60 seconds'),
  CALL_BURST: number(250, 1, 1_000_000, 'how many of them may leave at once; below CALLS_PER_MINUTE'),
  CALLS_IN_FLIGHT: number(4, 1, 1000, 'calls in flight per queue'),
  CALLS_IN_FLIGHT_TOTAL: number(64, 1, 10_000, 'calls in flight in all'),
  CALL_TIMEOUT_MS: number(10_000, 100, 60_000, 'how long a call may take'),
  ANSWER_WAIT_MS: number(4000, 0, 30_000, "how long a post waits for Pinterest's answer"),
  DRAIN_MS: number(1500, 0, 300_000, 'how long posts are taken after SIGTERM, with /readyz off'),
  DEDUPE_HOURS: number(24, 1, 720, 'how long an event is recognized as a duplicate'),
  MAX_EVENT_AGE_HOURS: number(
    168,
    1,
    8760,
    'older live events are invalid, or expire in the queue and become dead letters',
  ),
  DEAD_LETTER_DAYS: number(30, 1, 3650, 'older dead letters are deleted'),
  TRAIL_HOURS: number(
    72,
    0,
    8760,
    'how long the event trail says what became of an event, within 5 % of STORE_LIMIT_BYTES; 0: no trail',
  ),
  STORE_LIMIT_BYTES: number(
    10 * 1024 ** 3,
    1024 ** 2,
    2 ** 50,
    'bound of the store: posts get 503 over 80 % of it, or of what the disk has left; 10 % are for dead letters, 5 % for the event trail',
  ),
  RESERVED_BYTES: number(
    24 * 1024 ** 2,
    1024 ** 2,
    2 ** 30,
    'SQLite: disk space reserved for the day when the disk is full (less on a small disk); bounds the WAL, too',
  ),
  BODY_LIMIT_BYTES: number(8 * 1024 ** 2, 1024, 64 * 1024 ** 2, 'largest body of a post'),
  TRUST_PROXY: list(
    'addresses or CIDR blocks',
    '^[0-9a-fA-F:.,/ ]*$',
    'gateways whose X-Forwarded-* headers are believed',
    isAddressBlock,
  ),
  METRICS_OPEN: flag('GET /metrics needs no token'),
  DOCS_OPEN: flag('the description of the public port (/docs on the admin port) needs no token'),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    url('where traces are sent, over OTLP/HTTP (/v1/traces is added); unset: no traces'),
  ),
  OTEL_SERVICE_NAME: text('a name without spaces', '^\\S{1,200}$', 'name of the relay in traces', 'pinrelay'),
  LOG_LEVEL: Type.Enum(LOG_LEVELS, {
    default: 'info',
    rule: `one of ${LOG_LEVELS.join(', ')}`,
    description: 'least severe level that is logged',
  }),
})

/** How long a relay that ends waits, one after the other. */
export const CLOSE_MS = {
  /** For calls in flight. */
  calls: 5000,
  /** For the store, and meanwhile for the answers to requests that are in. */
  store: 2500,
  /** For the last spans to be sent. */
  spans: 1000,
  /** For its own work, on a slow machine. */
  work: 1500,
} as const
/** The most that a relay takes to end, after DRAIN_MS: supervisors must give it more. */
export const LONGEST_CLOSE_MS = CLOSE_MS.calls + CLOSE_MS.store + CLOSE_MS.spans + CLOSE_MS.work

export interface Settings extends Readonly<Static<typeof SettingsSchema>> {
  /** From DATABASE_URL. */
  readonly database: DatabaseConfig
}

export type DatabaseConfig =
  | { readonly kind: 'sqlite'; readonly path: string }
  /** With its password: never log it. */
  | { readonly kind: 'postgres'; readonly url: string }

type SettingSchema = TSchema & {
  readonly type?: string
  readonly rule?: string
  readonly default?: unknown
  /** Of a text that follows the pattern; undefined where it follows no rule. */
  readonly read?: (text: string) => unknown
}

type Environment = Readonly<Record<string, string | undefined>>

/** Throws BAD_SETTINGS with one line per problem. */
export function readSettings(environment: Environment): Settings {
  const problems: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries<SettingSchema>(SettingsSchema.properties)) {
    const { default: standard, read = (text: string) => text, rule } = schema
    const convert = (value: unknown) => (typeof value === 'string' ? read(value) : value)
    if (standard !== undefined) values[name] = convert(standard)
    const text = textOfSetting(environment, name, schema)
    // An empty setting is an unset one: compose files and manifests pass empty texts for what is not set.
    if (text === '') continue
    const given = schema.type === 'integer' && /^\d{1,15}$/.test(text) ? Number(text) : text
    const value = Check(schema, given) ? convert(given) : undefined
    if (value === undefined) problems.push(`${name} must be ${rule}`)
    else values[name] = value
  }
  const settings = values as Static<typeof SettingsSchema>
  if (settings.CALL_BURST >= settings.CALLS_PER_MINUTE)
    problems.push('CALL_BURST must be below CALLS_PER_MINUTE')
  if (settings.MASTER_KEY_PREVIOUS && !settings.MASTER_KEY) {
    problems.push('MASTER_KEY must be set where MASTER_KEY_PREVIOUS is')
  }
  const database = readDatabase(settings, problems)
  if (database.kind === 'postgres') {
    // Each replica would make its own.
    for (const name of ['MASTER_KEY', 'ADMIN_TOKEN'] as const) {
      if (settings[name] === undefined)
        problems.push(`${name} must be set with PostgreSQL, the same for all replicas`)
    }
  }
  if (problems.length > 0) throw new BadSettings(problems.join('\n'))
  return Object.freeze({ ...settings, database })
}

function readList(list: string, isItem: (item: string) => boolean): string[] | undefined {
  const items = list.split(',').flatMap((item) => item.trim() || [])
  return items.every(isItem) ? items : undefined
}

function readDatabase(
  { DATABASE_URL: url }: Pick<Settings, 'DATABASE_URL'>,
  problems: string[],
): DatabaseConfig {
  if (url.startsWith('sqlite:')) return { kind: 'sqlite', path: url.slice('sqlite:'.length) }
  try {
    parseDatabaseUrl(url)
  } catch (error) {
    problems.push((error as Error).message)
  }
  return { kind: 'postgres', url }
}

/** As the environment has it; empty where it is unset. */
export function textOfSetting(environment: Environment, name: string, schema: TSchema): string {
  const text = environment[name]?.trim() ?? ''
  return text === '' && 'isLowerCaseToo' in schema ? (environment[name.toLowerCase()]?.trim() ?? '') : text
}

/** Undefined for what is no URL of a proxy. */
function proxyUrl(text: string): string | undefined {
  try {
    const url = new URL(text.includes('://') ? text : `http://${text}`)
    // undici decodes both, and throws where they cannot be.
    for (const part of [url.username, url.password]) decodeURIComponent(part)
    return url.href
  } catch {
    return undefined
  }
}

function isAddressBlock(block: string): boolean {
  return block.includes('/') ? ipaddr.isValidCIDR(block) : ipaddr.isValid(block)
}
