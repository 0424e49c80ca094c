/** A real browser for tests of pages: Debian's Chromium, driven by playwright-core. */
import { existsSync } from 'node:fs'
import { chromium, type Page } from 'playwright-core'
import tap, { type Test } from 'tap'

/** The shell has no windows, and takes half of the time. */
const PATHS = [
  process.env['CHROMIUM'] ?? '',
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
]

/** Where it is; undefined: the tests that need one are skipped, and say so. */
export const CHROMIUM = PATHS.find((path) => path !== '' && existsSync(path))

/** It asks nobody on the network for anything by itself. */
const ARGUMENTS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
]

/** Only what never comes is waited for so long. */
const PATIENCE_MS = 120_000

export interface WatchedPage {
  readonly page: Page
  /** What went wrong in it: exceptions, refusals of its content security policy, errors on its console. */
  readonly problems: string[]
  /** The origins of everything that it asked for. */
  readonly origins: Set<string>
}

export interface Look {
  readonly colorScheme: 'light' | 'dark'
  readonly viewport: { readonly width: number; readonly height: number }
}

const USUAL: Look = { colorScheme: 'light', viewport: { width: 1280, height: 720 } }

let opening: Promise<Page> | undefined

/**
 * One page for all tests of the process: a window takes longer than most of them, and to load the console anew costs a third of a
 * second of CPU. So it stays logged in, too; `forgetPast` makes it that of a person without a past.
 */
export async function openPage(t: Test, { colorScheme, viewport } = USUAL): Promise<WatchedPage> {
  const page = await (opening ??= launch())
  const problems: string[] = []
  const origins = new Set<string>()
  page.on('pageerror', (error) => void problems.push(error.message))
  page.on('console', (message) => {
    // The browser names each answer of 400 and more there; whether it was meant is for the test to say.
    const isAnswer = message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !isAnswer) problems.push(message.text())
  })
  page.on('request', (request) => void origins.add(new URL(request.url()).origin))
  await page.emulateMedia({ colorScheme })
  await page.setViewportSize(viewport)
  t.teardown(async () => {
    page.removeAllListeners()
    await page.unrouteAll({ behavior: 'ignoreErrors' })
    // Ends what the console's view does, and begins one that asks for nothing again.
    await page.evaluate(`location.hash = '#/explain'`)
  })
  return { page, problems, origins }
}

/** To be followed by a page that is loaded, since the one that is open may still ask with the session that it had. */
export async function forgetPast(page: Page): Promise<void> {
  await page.evaluate('localStorage.clear()')
  await page.context().clearCookies()
}

async function launch(): Promise<Page> {
  const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ARGUMENTS })
  tap.teardown(() => browser.close())
  const page = await browser.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  return page
}
