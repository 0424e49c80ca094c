/**
 * Starts a relay from the environment and ends it on SIGTERM or SIGINT: with 0 when all ended in order, at once on a
 * second signal. A start that fails says why in one line and exits with 1.
 */
import { hostname } from 'node:os'
import packageJson from '../package.json' with { type: 'json' }
import { codeOf, placeOf } from './errors.ts'
import { systemClock } from './clock.ts'
import { LONGEST_CLOSE_MS, readSettings } from './settings.ts'
import { openStandardOutput } from './telemetry/log-output.ts'
import { createLog } from './telemetry/log.ts'
import { startRelay } from './relay.ts'
import { guideOf, renderGuide } from './start-guide.ts'

const { version } = packageJson
const output = openStandardOutput(systemClock)

/** A log that nobody reads must not delay the exit. */
const LAST_LINES_MS = 500

// Without a listener it would end the process. SIGUSR1 is Node's own: `--disable-sigusr1` keeps it from opening a debugger.
process.on('SIGUSR2', () => undefined)

try {
  const settings = readSettings(process.env)
  const log = createLog({ level: settings.LOG_LEVEL, destination: output })
  // Its supervisor starts it again; what was answered is in the store.
  const starting = startRelay({
    settings,
    log,
    version,
    onFatal: () => leave(1),
    droppedLogLines: () => output.dropped(),
  })

  let isEnding = false
  const end = (signal: NodeJS.Signals) => {
    if (isEnding) {
      log.warn({ signal }, 'second signal, exiting at once')
      leave(1)
    }
    isEnding = true
    log.info({ signal }, 'shutting down')
    output.flush()
    setTimeout(() => {
      log.error({}, 'closing took too long, exiting')
      leave(1)
    }, settings.DRAIN_MS + LONGEST_CLOSE_MS).unref()
    const closing = starting.then((relay) => relay.close())
    closing.then(
      () => {
        log.info({}, 'closed')
        leave(0)
      },
      (error: unknown) => {
        log.error({ code: codeOf(error) }, 'closing failed')
        leave(1)
      },
    )
  }
  // Before the ports open: without a listener a signal would cut off posts, or be lost where this is a container's first process.
  process.on('SIGTERM', end)
  process.on('SIGINT', end)

  const relay = await starting
  log.info({ host: settings.HOST, port: Number(new URL(relay.publicUrl).port), version }, 'public port open')
  log.info({ host: settings.ADMIN_HOST, port: Number(new URL(relay.adminUrl).port) }, 'admin port open')
  // Docker names a container by its host name, too.
  const guide = guideOf(relay, settings, import.meta.url.endsWith('.js') ? hostname() : undefined)
  log.info(guide, 'started')
  // With --expose-gc: frees 23 MiB of garbage from loading the code, which V8 would keep until there is load.
  globalThis.gc?.({ type: 'major', flavor: 'last-resort' })
  output.flush()
  // Standard output holds the log alone: for programs.
  if (process.stderr.isTTY) process.stderr.write(renderGuide(guide))

  // An unexpected error ends the process: what was answered is in the store, and the next process continues with it. The
  // error's text is not shown, since it may quote what it failed on.
  process.on('uncaughtException', (error) => {
    log.error({ code: codeOf(error), at: placeOf(error) }, 'unexpected failure, exiting')
    leave(1)
  })
} catch (error) {
  process.stderr.write(`pinrelay cannot start: ${describe(error)}\n`)
  output.flushSync(LAST_LINES_MS)
  process.exitCode = 1
}

/** The relay's own errors are written for people; of others only what cannot hold a secret is shown. */
function describe(error: unknown): string {
  return error instanceof Error && 'statusCode' in error ? error.message : codeOf(error)
}

function leave(code: number): never {
  output.flushSync(LAST_LINES_MS)
  process.exit(code)
}
