import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const main = fileURLToPath(new URL('../../chaos/main.ts', import.meta.url))
const run = promisify(execFile)

t.test('--help and what cannot be read get the usage', async (t) => {
  t.match(await run(process.execPath, [main, '--help']), {
    stdout: /^usage: npm run chaos .*kills/s,
    stderr: '',
  })
  for (const wrong of ['--frob', 'frob']) {
    await t.rejects(run(process.execPath, [main, wrong]), {
      code: 2,
      stdout: '',
      stderr: /^usage: npm run chaos .*seed N[^\n]*\n$/s,
    })
  }
})
