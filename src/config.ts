/**
 * The settings: one schema, read once from the environment, frozen, passed down. Every problem is named at once, by the
 * setting's name and never by its value.
 */
import ipaddr from 'ipaddr.js'
import { Type, type Static, type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { BadSettings } from './errors.ts'
import { LOG_LEVELS } from './log.ts'
import { parseDatabaseUrl } from './store/postgres/database-url.ts'

/** `rule` completes the sentence "NAME must be …". */
const number = (value: number, minimum: number, maximum: number) =>
  Type.Integer({ minimum, maximum, default: value, rule: `a whole number from ${minimum} to ${maximum}` })
const text = (rule: string, pattern: string, value?: string) =>
  Type.String({ pattern, rule, ...(value === undefined ? {} : { default: value }) })
const masterKey = () => Type.Optional(text('32 bytes in base64', '^[A-Za-z0-9+/_-]{43}=?$'))

export const SettingsSchema = Type.Object({
  HOST: text('an address', '^\\S+$', '127.0.0.1'),
  PORT: number(8080, 0, 65_535),
  ADMIN_HOST: text('an address', '^\\S+$', '127.0.0.1'),
  ADMIN_PORT: number(8081, 0, 65_535),
  ADMIN_HOSTS: Type.Optional(text('a comma list of host names', '^[A-Za-z0-9._ ,-]+$')),
  ADMIN_TOKEN: Type.Optional(text('at least 16 visible ASCII characters', '^[!-~]{16,}$')),
  ADMIN_PUBLIC_URL: Type.Optional(
    text('an http or https URL without query, fragment or closing slash', '^https?://[^\\s?#]*[^\\s?#/]$'),
  ),
  DATABASE_URL: text(
    'sqlite: and the path of a file, or postgres:// and a database',
    '^(sqlite:(?!:|file:).*[^/:]|postgres(ql)?://\\S+)$',
    'sqlite:./data/relay.db',
  ),
  DATABASE_URL_DIRECT: Type.Optional(text('postgres:// and a database', '^postgres(ql)?://\\S+$')),
  MASTER_KEY: masterKey(),
  MASTER_KEY_PREVIOUS: masterKey(),
  PINTEREST_API_URL: text(
    'an http or https URL without query or fragment',
    '^https?://[^\\s?#]+$',
    'https://api.pinterest.com/v5',
  ),
  PINTEREST_CONSENT_URL: text(
    'an http or https URL without query or fragment',
    '^https?://[^\\s?#]+$',
    'https://www.pinterest.com/oauth/',
  ),
  POSTS_PER_MINUTE: number(5000, 0, 1_000_000),
  CALLS_PER_MINUTE: number(5000, 2, 1_000_000),
  CALL_BURST: number(250, 1, 1_000_000),
  CALLS_IN_FLIGHT: number(4, 1, 1000),
  CALLS_IN_FLIGHT_TOTAL: number(64, 1, 10_000),
  CALL_TIMEOUT_MS: number(10_000, 100, 60_000),
  ANSWER_WAIT_MS: number(4000, 0, 30_000),
  DRAIN_MS: number(1500, 0, 300_000),
  DEDUPE_HOURS: number(24, 1, 720),
  MAX_EVENT_AGE_HOURS: number(168, 1, 8760),
  DEAD_LETTER_DAYS: number(30, 1, 3650),
  STORE_LIMIT_BYTES: number(10 * 1024 ** 3, 1024 ** 2, 2 ** 50),
  RESERVED_BYTES: number(24 * 1024 ** 2, 1024 ** 2, 2 ** 30),
  BODY_LIMIT_BYTES: number(8 * 1024 ** 2, 1024, 64 * 1024 ** 2),
  TRUST_PROXY: Type.Optional(text('a comma list of addresses or CIDR blocks', '^[0-9a-fA-F:.,/ ]+$')),
  METRICS_OPEN: Type.Enum(['true', 'false'], { default: 'false', rule: 'true or false' }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    text('an http or https URL without query or fragment', '^https?://[^\\s?#]+$'),
  ),
  OTEL_SERVICE_NAME: text('a name without spaces', '^\\S{1,200}$', 'pinrelay'),
  LOG_LEVEL: Type.Enum(LOG_LEVELS, { default: 'info', rule: `one of ${LOG_LEVELS.join(', ')}` }),
})

/** The most that a relay takes to end, after DRAIN_MS: supervisors must give it more. */
export const LONGEST_CLOSE_MS = 8000

export type Settings = Readonly<Static<typeof SettingsSchema>>

export interface Config extends Omit<Settings, 'ADMIN_HOSTS' | 'TRUST_PROXY' | 'METRICS_OPEN'> {
  /** Names that the admin port answers to, beside localhost, its own and addresses. */
  readonly ADMIN_HOSTS: readonly string[]
  /** Addresses and CIDR blocks of the gateways whose X-Forwarded-* count. */
  readonly TRUST_PROXY: readonly string[]
  readonly METRICS_OPEN: boolean
  /** From DATABASE_URL. */
  readonly database: DatabaseConfig
}

export type DatabaseConfig =
  | { readonly kind: 'sqlite'; readonly path: string }
  /** With its password: never log it. `directUrl`: past the pooler that `url` leads to. */
  | { readonly kind: 'postgres'; readonly url: string; readonly directUrl: string | undefined }

/** Throws BAD_SETTINGS with one line per problem. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = []
  const given: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries<TSchema>(SettingsSchema.properties)) {
    const value = readValue(schema, environment[name]?.trim() ?? '')
    if (value === undefined) continue
    if (Value.Check(schema, value)) given[name] = value
    else problems.push(`${name} must be ${ruleOf(schema)}`)
  }
  const settings = Value.Default(SettingsSchema, given) as Settings
  const gateways = readList(settings.TRUST_PROXY)
  if (!gateways.every(isAddressBlock))
    problems.push(`TRUST_PROXY must be ${ruleOf(SettingsSchema.properties.TRUST_PROXY)}`)
  if (settings.CALL_BURST >= settings.CALLS_PER_MINUTE)
    problems.push('CALL_BURST must be below CALLS_PER_MINUTE')
  if (settings.MASTER_KEY_PREVIOUS && !settings.MASTER_KEY) {
    problems.push('MASTER_KEY must be set where MASTER_KEY_PREVIOUS is')
  }
  const database = readDatabase(settings)
  if (database.kind === 'sqlite') {
    if (settings.DATABASE_URL_DIRECT !== undefined)
      problems.push('DATABASE_URL_DIRECT must be left out without PostgreSQL')
  } else {
    problems.push(...problemsOfUrl(database.url, 'DATABASE_URL'))
    problems.push(...problemsOfUrl(database.directUrl, 'DATABASE_URL_DIRECT'))
    // Each replica would make its own.
    for (const name of ['MASTER_KEY', 'ADMIN_TOKEN'] as const) {
      if (settings[name] === undefined)
        problems.push(`${name} must be set with PostgreSQL, the same for all replicas`)
    }
  }
  if (problems.length > 0) throw new BadSettings([...new Set(problems)].join('\n'))
  return Object.freeze({
    ...settings,
    ADMIN_HOSTS: readList(settings.ADMIN_HOSTS),
    TRUST_PROXY: gateways,
    METRICS_OPEN: settings.METRICS_OPEN === 'true',
    database,
  })
}

function readList(list = ''): string[] {
  return list.split(',').flatMap((item) => item.trim() || [])
}

function readDatabase({ DATABASE_URL: url, DATABASE_URL_DIRECT: directUrl }: Settings): DatabaseConfig {
  return url.startsWith('sqlite:')
    ? { kind: 'sqlite', path: url.slice('sqlite:'.length) }
    : { kind: 'postgres', url, directUrl }
}

function problemsOfUrl(url: string | undefined, setting: string): string[] {
  if (url === undefined) return []
  try {
    parseDatabaseUrl(url, setting)
    return []
  } catch (error) {
    return [(error as Error).message]
  }
}

/** An empty setting is an unset one: compose files and manifests pass empty texts for what is not set. */
function readValue(schema: TSchema, value: string): unknown {
  if (value === '') return undefined
  return 'type' in schema && schema.type === 'integer' && /^\d{1,15}$/.test(value) ? Number(value) : value
}

function ruleOf(schema: TSchema): string {
  return 'rule' in schema ? String(schema.rule) : 'something else'
}

function isAddressBlock(block: string): boolean {
  return block.includes('/') ? ipaddr.isValidCIDR(block) : ipaddr.isValid(block)
}
