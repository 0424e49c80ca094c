/**
 * `npm run sandbox`: the stand-in for Pinterest as a process of its own. Settings come from the environment:
 * SANDBOX_HOST (127.0.0.1), SANDBOX_PORT (8090; 0: any free port), SANDBOX_CALLS_PER_MINUTE (5000; 0: no limit),
 * SANDBOX_JOURNAL_CALLS (10000; 0: no journal), SANDBOX_JOURNAL_EVENTS (true; false: calls without their events).
 */
import { createSandbox } from './sandbox.ts'

try {
  const sandbox = await createSandbox({
    host: process.env['SANDBOX_HOST'] ?? '127.0.0.1',
    port: readWholeNumber('SANDBOX_PORT', 8090, 65_535),
    callsPerMinute: readWholeNumber('SANDBOX_CALLS_PER_MINUTE', 5000),
    journal: {
      maxCalls: readWholeNumber('SANDBOX_JOURNAL_CALLS', 10_000),
      keepsEvents: process.env['SANDBOX_JOURNAL_EVENTS'] !== 'false',
    },
  })
  process.stdout.write(
    `sandbox: listening, use it with PINTEREST_API_URL=${sandbox.url} and any token that begins with pina_; ` +
      `what it received is at ${sandbox.origin}/_sandbox/journal\n`,
  )
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void sandbox.close())
  }
} catch (error) {
  process.stderr.write(`sandbox: cannot start: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

function readWholeNumber(name: string, fallback: number, maximum = 2 ** 20): number {
  const text = process.env[name]
  if (text === undefined || text === '') return fallback
  const value = Number(text)
  if (/^\d+$/.test(text) && value <= maximum) return value
  throw new Error(`${name} must be a whole number from 0 to ${maximum}`)
}
