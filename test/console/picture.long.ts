import { writeFileSync } from 'node:fs'
import t from 'tap'
import { CHROMIUM, openPage } from '../support/chromium.ts'
import { enter } from '../support/relay.ts'
import { makeUpLive } from './picture.ts'
import { logIn } from './stage.ts'

if (CHROMIUM === undefined) {
  t.plan(0, 'SKIPPED: there is no Chromium here')
  process.exit(0)
}

// `npm run picture` writes it: other fonts make another picture, so a test does not compare them.
t.test("the README's picture can be taken", async (t) => {
  const stand = await enter(t)
  const { page, problems } = await openPage(t, {
    colorScheme: 'light',
    viewport: { width: 1257, height: 1157 },
  })
  const nowSeconds = Date.UTC(2026, 4, 12, 15, 26) / 1000
  await page.route(/\/live\?/, (route) => route.fulfill({ json: makeUpLive(nowSeconds) }))
  await logIn(page, stand)
  await page
    .getByRole('row', { name: /Germany/ })
    .getByRole('button', { name: /Give a new token/ })
    .waitFor()
  await page.locator('.canvas canvas').nth(3).waitFor()
  await page.evaluate(`document.activeElement.blur(); scrollTo(0, 0)`)
  await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
  const picture = await page.screenshot()
  t.same(problems, [])
  const path = process.env['PICTURE']
  if (path !== undefined) writeFileSync(path, picture)
})
