/**
 * Logs: one JSON object a line, made of allow-listed fields and a lower-case phrase. A field that is not in the list
 * cannot be logged, by type and again at run time: bodies, tokens, keys, addresses and the URLs of requests have no field
 * here.
 */
import { pino, type DestinationStream } from 'pino'

const TEXTS = [
  'ad_account_id',
  'admin_token_in',
  'at',
  'call_id',
  'code',
  'console',
  'event_name',
  'file',
  'host',
  'key_id',
  'method',
  'next',
  'post_id',
  'posts_to',
  'reason',
  'route',
  'signal',
  'source',
  'version',
] as const
const NUMBERS = [
  'delay_ms',
  'duplicates',
  'duration_ms',
  'events',
  'filtered',
  'invalid',
  'port',
  'queued',
  'rejected',
  'status',
] as const
const ALLOWED: ReadonlySet<string> = new Set([...TEXTS, ...NUMBERS, 'is_test'])

/**
 * `at`: the place in the code of an unexpected error. `event_name`: only names that Pinterest knows, others are a
 * storefront's own text. `file`: the name of a quarantined database file. `admin_token_in`: the path of its file,
 * or the setting's name.
 */
export type LogFields = { readonly [Name in (typeof TEXTS)[number]]?: string | undefined } & {
  readonly [Name in (typeof NUMBERS)[number]]?: number | undefined
} & { readonly is_test?: boolean | undefined }

export type Log = Readonly<
  Record<'debug' | 'info' | 'warn' | 'error', (fields: LogFields, phrase: string) => void>
>

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export function createLog(options: {
  readonly level: (typeof LOG_LEVELS)[number]
  readonly destination: DestinationStream
}): Log {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: createTimestamp(),
      messageKey: 'phrase',
      formatters: {
        level: (label) => ({ level: label }),
        log: allowedOnly,
      },
    },
    options.destination,
  )
}

/** The lines of one millisecond share its text: under load most lines of a turn of the loop. */
function createTimestamp(): () => string {
  let atMs = 0
  let text = ''
  return () => {
    const nowMs = Date.now()
    if (nowMs !== atMs) text = `,"time":"${new Date((atMs = nowMs)).toISOString()}"`
    return text
  }
}

/** A copy only where something is not allowed. pino leaves out what is undefined. */
function allowedOnly(fields: Record<string, unknown>): Record<string, unknown> {
  for (const name in fields) {
    if (!isAllowed(name, fields[name]))
      return Object.fromEntries(Object.entries(fields).filter((entry) => isAllowed(...entry)))
  }
  return fields
}

function isAllowed(name: string, value: unknown): boolean {
  return ALLOWED.has(name) && typeof value !== 'object'
}
