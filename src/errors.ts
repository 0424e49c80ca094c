/**
 * Every error that the relay answers or stops with, in one table. The code is the contract; texts may change. The public
 * port answers them in Pinterest's form, with Pinterest's codes (ingest/server.ts).
 */
import createError from '@fastify/error'

/** Codes of Pinterest's own error bodies. */
export const PINTEREST_CODES = {
  unauthorized: 2,
  rateLimited: 8,
  noSuchMethod: 12,
  forbidden: 29,
  partlyProcessed: 953,
  invalid: 4196,
  unavailable: 4197,
} as const

// What the two ports answer.
export const InvalidRequest = createError('INVALID_REQUEST', '%s', 400)
export const Unauthorized = createError('UNAUTHORIZED', 'Authentication failed.', 401)
export const Forbidden = createError('FORBIDDEN', 'You are not permitted to access that resource.', 403)
export const WrongHost = createError(
  'WRONG_HOST',
  'The admin port does not answer to this name: see ADMIN_HOSTS.',
  421,
)
export const TooManyGuesses = createError(
  'TOO_MANY_GUESSES',
  'Too many wrong tokens; the right one is taken at any time.',
  429,
)
export const NotFound = createError('NOT_FOUND', 'There is nothing at this address.', 404)
/** What is missing: `account 1234`. */
export const NoSuch = createError('NOT_FOUND', 'There is no %s.', 404)
export const RecoverRunning = createError('RECOVER_RUNNING', 'A recover is running already.', 409)
export const BackupRefused = createError('BACKUP_REFUSED', '%s', 409)
export const TokenRefused = createError('TOKEN_REFUSED', '%s', 400)
export const ConsentInvalid = createError('CONSENT_INVALID', '%s', 400)
export const NoGrant = createError('NO_GRANT', '%s', 409)
export const PinterestUnavailable = createError('PINTEREST_UNAVAILABLE', '%s', 502)
export const UnsupportedMedia = createError('UNSUPPORTED_MEDIA', '%s', 415)
export const TooManyPosts = createError(
  'TOO_MANY_POSTS',
  'Over %s posts per minute for this ad account.',
  429,
)
export const StoreUnavailable = createError('STORE_UNAVAILABLE', 'The relay cannot store events now.', 503)
export const ClockInDoubt = createError(
  'CLOCK_IN_DOUBT',
  "The relay's clock was just set, so it does not know how old an event of this post is. Post it again later.",
  503,
)
export const SenderLeft = createError('SENDER_LEFT', 'The sender left before its post was taken.', 400)
export const TooBusy = createError('TOO_BUSY', 'Too many posts at once.', 503)
export const TooSlow = createError('TOO_SLOW', 'The body came too slowly.', 408)
export const ShuttingDown = createError('SHUTTING_DOWN', 'The relay is shutting down.', 503)

// What stops a start, with one clear line.
export const BadSettings = createError('BAD_SETTINGS', '%s')
export const WrongMasterKey = createError('WRONG_MASTER_KEY', '%s')
export const StoreInUse = createError('STORE_IN_USE', '%s')
export const StoreTooNew = createError('STORE_TOO_NEW', '%s')
/** The setting, and the address. */
export const PortTaken = createError(
  'PORT_TAKEN',
  '%s: another process, perhaps another relay, listens at %s. Stop it, or set another port.',
)
/** The settings, the address, and the system's word. */
export const CannotListen = createError('CANNOT_LISTEN', '%s: this machine cannot listen at %s (%s).')
export const StoreCannotOpen = createError('STORE_CANNOT_OPEN', '%s')

/** A ciphertext that no known master key opens, or that was changed or moved. */
export const CannotOpen = createError('CANNOT_OPEN', 'A sealed value cannot be opened.')

/** Whether it is one of these, whose text says what is wrong. */
export function isOfTable(error: unknown): error is Error {
  return error instanceof createError.FastifyError
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
