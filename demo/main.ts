/**
 * `npm run demo`: shows what the relay does and checks it. Exits with 0 when all claims hold, with 1
 * when one fails or the demo cannot be finished. With `--keep` everything is left running until Ctrl-C.
 */
import { createClaims } from './claims.ts'
import { sendOrders, showAddresses } from './keep.ts'
import { play } from './play.ts'
import { createScreen } from './screen.ts'
import { openStage } from './stage.ts'

const { stdout, stderr, env, argv } = process
const DEFAULT_COLUMNS = 100
/** As shells have it for SIGINT. */
const INTERRUPTED = 130

const interrupted = new Promise<'interrupted'>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve('interrupted'))
  // The reader left (`| head`): nobody reads any more.
  stdout.on('error', () => resolve('interrupted'))
})

process.exitCode = await run()
// A scene that was cut off may still wait for something.
if (process.exitCode === INTERRUPTED) process.exit()

async function run(): Promise<number> {
  try {
    await using stage = await openStage()
    const screen = createScreen({
      write: (text) => void stdout.write(text),
      columns: stdout.columns ?? DEFAULT_COLUMNS,
      hasColours: stdout.isTTY && !env['NO_COLOR'],
    })
    const ended = await Promise.race([play(stage, screen, createClaims()), interrupted])
    if (ended === 'interrupted') return INTERRUPTED
    if (argv.includes('--keep')) {
      showAddresses(stage, screen)
      await Promise.race([interrupted, sendOrders(stage)])
    }
    return ended
  } catch (error) {
    stderr.write(`the demo broke off: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}
