/** Requests to the admin port. A refusal or no answer ends the command, with a line that says why. */
import { readFileSync } from 'node:fs'
import { besideQueue } from '../store/paths.ts'
import { CommandFailed, EXIT, misused, type Terminal } from './terminal.ts'

export type AdminClient = ReturnType<typeof createAdminClient>

/** The relay answered, with a status that is no success. */
export class Refused extends CommandFailed {
  readonly status: number

  constructor(status: number, { code, message = '' }: { readonly code?: string; readonly message?: string }) {
    const exitCode = code === 'TOKEN_REFUSED' ? EXIT.partly : EXIT.refused
    super(`The relay answered ${status}: ${message}`, exitCode, code)
    this.status = status
  }
}

/** Undefined for what the relay does not have. */
export async function unlessMissing<Answer>(asked: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return undefined
    throw error
  }
}

/** Later than every step: no samples are answered. */
export const LIVE = `/live?since=${10 ** 12 - 1}`

const DEFAULT_DATABASE = 'sqlite:./data/relay.db'

/** Of the admin ports: several where ADMIN_URL names several cells. */
export function addressesOf(environment: Terminal['environment']): readonly string[] {
  const { ADMIN_URL: given, ADMIN_HOST: host, ADMIN_PORT: port = '8081' } = environment
  return given === undefined ? [addressOf(host, port)] : given.split(',').map((url) => url.trim())
}

export function createAdminClient({ environment }: Pick<Terminal, 'environment'>, url: string) {
  async function request(method: string, path: string, body?: object | string): Promise<Response> {
    // Not before: some commands ask no relay.
    if (!/^https?:/.test(URL.parse(url)?.protocol ?? ''))
      throw misused('ADMIN_URL must be an address such as http://127.0.0.1:8081.')
    const authorization = `Bearer ${findToken(environment)}`
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const response = await fetch(new URL(path, url), {
      method,
      headers: { authorization, ...type },
      body: typeof body === 'object' ? JSON.stringify(body) : (body ?? null),
    }).catch(failed)
    if (response.ok) return response
    const answer: { readonly code?: string | number; readonly message?: string } = await readAnswer(response)
    const { code, message } = answer
    // Those of the public port are Pinterest's.
    if (typeof code === 'number') throw new CommandFailed(notAdminPort(url))
    const place = adminTokenFile(environment) ?? 'ADMIN_TOKEN'
    throw new Refused(response.status, {
      ...(code !== undefined && { code }),
      message: response.status === 401 ? `It has another admin token than ${place}.` : (message ?? ''),
    })
  }

  const readAnswer = async (response: Response) => parseAnswer(await response.text().catch(failed), url)
  /** `Answer`: what the route's schema says, in `src/admin/`. A text is sent as it is. */
  const send = async <Answer>(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: object | string,
  ) => (await readAnswer(await request(method, path, body))) as Answer

  function failed(error: unknown): never {
    throw new CommandFailed(
      isLate(error)
        ? `No answer from ${url} within 300 s; what was asked for may still be running.`
        : `Nothing answers at ${url}. Is the relay running, and is ADMIN_URL right?`,
    )
  }

  return {
    url,
    /** Where a browser reaches the admin port. */
    browserUrl: (environment['ADMIN_PUBLIC_URL'] || url).replace(/\/$/, ''),
    get: <Answer>(path: string) => send<Answer>('GET', path),
    send,
    /** Server-sent events, until the relay ends them. */
    async *follow<Message>(path: string): AsyncIterable<Message> {
      const response = await request('GET', path)
      let text = ''
      for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
        const messages = (text + part).split('\n\n')
        text = messages.pop()!
        for (const message of messages) {
          if (message.startsWith('data: ')) yield JSON.parse(message.slice('data: '.length)) as Message
        }
      }
    },
  }
}

/** The address of a port of a relay with the same settings, as inside its container. */
export function addressOf(host: string | undefined, port: string): string {
  if (host === undefined || host === '' || host === '0.0.0.0' || host === '::')
    return `http://127.0.0.1:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Fetch waits 300 s for the head of an answer, and as long between two parts of its body. */
function isLate(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT'
}

function parseAnswer(text: string, url: string): object {
  if (text === '') return {}
  try {
    return JSON.parse(text) as object
  } catch {
    throw new CommandFailed(notAdminPort(url))
  }
}

const notAdminPort = (url: string) => `What answers at ${url} is not the relay's admin port: see ADMIN_URL.`

/** ADMIN_TOKEN, or what the relay made and keeps beside its store. */
function findToken(environment: Terminal['environment']): string {
  const file = adminTokenFile(environment)
  try {
    const token = file === undefined ? environment['ADMIN_TOKEN'] : readFileSync(file, 'utf8').trim()
    if (token) return token
  } catch {
    // The error below names the variable, which most people set.
  }
  throw misused(
    'ADMIN_TOKEN must be set, or DATABASE_URL lead to the store beside which the relay keeps the token.',
  )
}

/** Undefined where ADMIN_TOKEN is set, or must be. */
export function adminTokenFile(environment: Terminal['environment']): string | undefined {
  const database = environment['DATABASE_URL'] ?? DEFAULT_DATABASE
  if (environment['ADMIN_TOKEN'] || !database.startsWith('sqlite:')) return undefined
  return besideQueue(database.slice('sqlite:'.length), '.admin-token')
}
