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
    register: () => registerAccounts(admin, [ACCOUNT], () => ({ access_token: TOKEN, country: 'US' })),
  }
}
