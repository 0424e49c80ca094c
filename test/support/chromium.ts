/** A real browser for tests of pages: Debian's Chromium, driven by playwright-core. */
import { existsSync } from 'node:fs'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import type { Test } from 'tap'

const PATHS = [process.env['CHROMIUM'] ?? '', '/usr/bin/chromium', '/usr/bin/google-chrome']

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

export async function openBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ARGUMENTS })
  t.teardown(() => browser.close())
  return browser
}

export interface WatchedPage {
  readonly page: Page
  /** What went wrong in it: exceptions, refusals of its content security policy, errors on its console. */
  readonly problems: string[]
  /** The origins of everything that it asked for. */
  readonly origins: Set<string>
}

/** A page of a context of its own, as a person without a past. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<WatchedPage> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const problems: string[] = []
  const origins = new Set<string>()
  page.on('pageerror', (error) => void problems.push(error.message))
  page.on('console', (message) => {
    // The browser names each answer of 400 and more there; whether it was meant is for the test to say.
    const isAnswer = message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !isAnswer) problems.push(message.text())
  })
  page.on('request', (request) => void origins.add(new URL(request.url()).origin))
  return { page, problems, origins }
}
