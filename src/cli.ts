/**
 * The operator's command, `npm run relay -- COMMAND`. Talks to the admin port at ADMIN_URL with ADMIN_TOKEN.
 *
 * Exit codes: 0 done; 1 the relay refused or could not be reached; 2 the command line is wrong.
 */
import { basename } from 'node:path'

const USAGE = `usage: relay COMMAND

commands:
  reseal         seal again with MASTER_KEY whatever MASTER_KEY_PREVIOUS sealed
  salvage FILE   bring back what can be read of a queue that was set aside (relay.db.corrupt-...)

environment:
  ADMIN_URL     where the admin port is (default http://127.0.0.1:8081)
  ADMIN_TOKEN   the admin token; the relay keeps one that it made beside its store (data/relay.admin-token)
`

interface AdminRequest {
  readonly path: string
  readonly body?: object
  /** What is printed when it is done. */
  readonly tell: (answer: Readonly<Record<string, unknown>>) => string
}

process.exitCode = await main(process.argv.slice(2), process.env)

async function main(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const [command, ...rest] = words
  if (command === 'help' || command === '--help' || command === '-h') {
    process.stdout.write(USAGE)
    return 0
  }
  const request = toRequest(command, rest)
  if (request === undefined) {
    process.stderr.write(USAGE)
    return 2
  }
  const adminUrl = environment['ADMIN_URL'] ?? 'http://127.0.0.1:8081'
  const adminToken = environment['ADMIN_TOKEN']
  if (!adminToken) {
    process.stderr.write('ADMIN_TOKEN must be set\n')
    return 2
  }
  return ask(adminUrl, adminToken, request)
}

/** Undefined for a wrong command line. */
function toRequest(command: string | undefined, words: readonly string[]): AdminRequest | undefined {
  if (command === 'reseal' && words.length === 0) {
    return {
      path: '/reseal',
      tell: ({ tokens, payloads }) => `resealed ${String(tokens)} tokens and ${String(payloads)} payloads`,
    }
  }
  const [file] = words
  if (command === 'salvage' && file !== undefined && words.length === 1) {
    // A path is taken as well: the log and `ls` show the name, a shell completes the path.
    return { path: '/salvage', body: { file: basename(file) }, tell: tellSalvaged }
  }
  return undefined
}

function tellSalvaged(answer: Readonly<Record<string, unknown>>): string {
  const { events, parcels, duplicates, dead_letters: letters, unreadable } = answer
  const found = `salvaged ${String(events)} events in ${String(parcels)} parcels and ${String(letters)} dead letters`
  return `${found}; ${String(duplicates)} were here already, ${String(unreadable)} parcels or letters cannot be read`
}

async function ask(
  adminUrl: string,
  adminToken: string,
  { path, body, tell }: AdminRequest,
): Promise<number> {
  let response: Response
  let answer: Record<string, unknown>
  try {
    response = await fetch(new URL(path, adminUrl), {
      method: 'POST',
      headers: {
        authorization: `Bearer ${adminToken}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      body: body ? JSON.stringify(body) : null,
    })
    answer = (await response.json()) as Record<string, unknown>
  } catch {
    process.stderr.write(`nothing answers at ${adminUrl}\n`)
    return 1
  }
  if (!response.ok) {
    process.stderr.write(`the relay answered ${response.status}: ${toText(answer['message'])}\n`)
    return 1
  }
  process.stdout.write(`${tell(answer)}\n`)
  return 0
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
