/**
 * The operator's command, `npm run relay -- COMMAND`. Talks to the admin port at ADMIN_URL with ADMIN_TOKEN.
 *
 * Exit codes: 0 done; 1 the relay refused or could not be reached; 2 the command line is wrong.
 */
const USAGE = `usage: relay COMMAND

commands:
  reseal    seal again with MASTER_KEY whatever MASTER_KEY_PREVIOUS sealed

environment:
  ADMIN_URL     where the admin port is (default http://127.0.0.1:8081)
  ADMIN_TOKEN   the admin token; the relay keeps one that it made beside its store (data/relay.admin-token)
`

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
  if (command !== 'reseal' || rest.length > 0) {
    process.stderr.write(USAGE)
    return 2
  }
  const adminUrl = environment['ADMIN_URL'] ?? 'http://127.0.0.1:8081'
  const adminToken = environment['ADMIN_TOKEN']
  if (!adminToken) {
    process.stderr.write('ADMIN_TOKEN must be set\n')
    return 2
  }
  return reseal(adminUrl, adminToken)
}

async function reseal(adminUrl: string, adminToken: string): Promise<number> {
  let response: Response
  try {
    const headers = { authorization: `Bearer ${adminToken}` }
    response = await fetch(new URL('/reseal', adminUrl), { method: 'POST', headers })
  } catch {
    process.stderr.write(`nothing answers at ${adminUrl}\n`)
    return 1
  }
  const body = (await response.json()) as { message?: string; tokens?: number; payloads?: number }
  if (!response.ok) {
    process.stderr.write(`the relay answered ${response.status}: ${body.message ?? ''}\n`)
    return 1
  }
  process.stdout.write(`resealed ${body.tokens} tokens and ${body.payloads} payloads\n`)
  return 0
}
