/**
 * Logs: one JSON object a line, made of allow-listed fields and a lower-case phrase. A field that is not in the list
 * cannot be logged, by type and again at run time: bodies, tokens, keys, addresses and URLs have no field here.
 */
import { pino, type DestinationStream } from 'pino'

export interface LogFields {
  readonly ad_account_id?: string | undefined
  readonly is_test?: boolean | undefined
  readonly key_id?: string | undefined
  /** Only those that Pinterest knows: others are a storefront's own text. */
  readonly event_name?: string | undefined
  readonly post_id?: string | undefined
  readonly method?: string | undefined
  readonly route?: string | undefined
  readonly status?: number | undefined
  readonly code?: string | undefined
  readonly reason?: string | undefined
  readonly events?: number | undefined
  readonly invalid?: number | undefined
  readonly rejected?: number | undefined
  readonly queued?: number | undefined
  readonly duplicates?: number | undefined
  readonly delay_ms?: number | undefined
  readonly duration_ms?: number | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** Where in the code something failed that never should. */
  readonly at?: string | undefined
  /** The name of a queue's file that was quarantined. */
  readonly file?: string | undefined
  readonly signal?: string | undefined
  readonly version?: string | undefined
}

export interface Log {
  debug(fields: LogFields, phrase: string): void
  info(fields: LogFields, phrase: string): void
  warn(fields: LogFields, phrase: string): void
  error(fields: LogFields, phrase: string): void
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

const ALLOWED: Readonly<Record<keyof LogFields, true>> = {
  ad_account_id: true,
  is_test: true,
  key_id: true,
  event_name: true,
  post_id: true,
  method: true,
  route: true,
  status: true,
  code: true,
  reason: true,
  events: true,
  invalid: true,
  rejected: true,
  queued: true,
  duplicates: true,
  delay_ms: true,
  duration_ms: true,
  host: true,
  port: true,
  at: true,
  file: true,
  signal: true,
  version: true,
}

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

/** Many lines share a millisecond; the text of one is made once. */
function createTimestamp(): () => string {
  let atMs = 0
  let text = ''
  return () => {
    const nowMs = Date.now()
    if (nowMs !== atMs) {
      atMs = nowMs
      text = `,"time":"${new Date(nowMs).toISOString()}"`
    }
    return text
  }
}

function allowedOnly(fields: Record<string, unknown>): Record<string, unknown> {
  const allowed: Record<string, unknown> = {}
  for (const name in fields) {
    const value = fields[name]
    if (Object.hasOwn(ALLOWED, name) && value !== undefined && typeof value !== 'object')
      allowed[name] = value
  }
  return allowed
}

/** What is safe to say of an error: its code, never its message (which may quote what it failed on). */
export function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null) {
    if ('code' in error && typeof error.code === 'string') return error.code
    if (error instanceof Error) return error.name
  }
  return 'UNKNOWN'
}

/** The innermost place in the relay's own code that an error passed: its stack without its message. */
export function placeOf(error: unknown): string | undefined {
  const frames = error instanceof Error ? (error.stack ?? '').split('\n') : []
  return /\bsrc\/[\w/.-]+:\d+:\d+/.exec(frames.filter((line) => /^ +at /.test(line)).join('\n'))?.[0]
}
