/** The relay as a process of its own: for tests about death, signals and what is written to its outputs. */
import { createAdmin, registerAccounts, type Admin } from './admin.ts'
import { ACCOUNT, ADMIN_TOKEN, RESERVED_BYTES, TOKEN } from './constants.ts'
import { startRelayProcess, type RelayProcess } from './relay-process.ts'

export interface TestProcess extends RelayProcess {
  /** Every line of its log so far. */
  readonly stdout: readonly string[]
  readonly admin: Admin
  /** Registers ACCOUNT and answers a relay key for it. */
  register(): Promise<string>
  post(key: string, data: readonly object[], options?: PostOptions): Promise<Response>
}

export interface PostOptions {
  readonly account?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Rejects with what it wrote to stderr when it ends instead of opening its ports. */
export async function startProcess(
  settings: Readonly<Record<string, string>>,
  main?: string,
): Promise<TestProcess> {
  const stdout: string[] = []
  const relay = await startRelayProcess({
    settings: { ADMIN_TOKEN, RESERVED_BYTES, ...settings },
    ...(main !== undefined && { main }),
    onLog: (line) => void stdout.push(line),
  })
  const admin = createAdmin(relay.adminUrl, ADMIN_TOKEN)
  return {
    ...relay,
    stdout,
    admin,
    post: (key, data, { account = ACCOUNT, headers = {} } = {}) =>
      fetch(`${relay.publicUrl}/v5/ad_accounts/${account}/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ data }),
      }),
    register: () => registerAccounts(admin, [ACCOUNT], () => ({ access_token: TOKEN, country: 'US' })),
  }
}
