/** The package as a storefront gets it: packed, installed into an empty folder, checked by tsc, and used against a relay. */
import { execFile } from 'node:child_process'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { makeFolder } from '../support/at-exit.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'

const ENVIRONMENT = { PATH: process.env['PATH'], HOME: process.env['HOME'] }
const execute = promisify(execFile)
/** Without what the test runner puts into every process that is started here: tsc cannot bear it. */
const run = (file: string, words: readonly string[], cwd: string, more: Record<string, string> = {}) =>
  execute('env', ['-u', 'NODE_OPTIONS', file, ...words], {
    cwd,
    env: { ...ENVIRONMENT, ...more },
  })
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** `flags`: more of them for tsc. */
export async function installAndUse(t: Test, flags: readonly string[]): Promise<void> {
  const stand = await setUp(t)
  const folder = makeFolder(t)
  const npm = (words: readonly string[], cwd: string) => run('npm', words, cwd)
  await npm(['pack', '--pack-destination', folder], join(ROOT, 'client'))
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'shop', private: true, type: 'module' }),
  )
  await npm(['install', '--offline', '--no-audit', '--no-fund', './pinrelay-client-0.1.0.tgz'], folder)

  const page = await readFile(join(ROOT, 'client/README.md'), 'utf8')
  const blocks = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!)
  t.equal(blocks.length, 5)
  const imports = blocks.flatMap((code) => code.match(/^import .*$/gm) ?? [])
  const code = blocks.map((block) => block.replace(/^import .*$/gm, '')).join('\n')
  await writeFile(join(folder, 'shop.ts'), `${imports.join('\n')}\n${code}`)

  // The storefront's own types of Node, as it would have them.
  await mkdir(join(folder, 'node_modules/@types'), { recursive: true })
  for (const name of ['@types/node', 'undici-types']) {
    await symlink(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  }
  const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext']
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  await run(
    process.execPath,
    [tsc, ...strict, ...flags, '--target', 'es2022', '--types', 'node', 'shop.ts'],
    folder,
  )

  const { stdout, stderr } = await run(process.execPath, ['shop.ts'], folder, {
    PINRELAY_URL: `${stand.relay.publicUrl}/v5`,
    PINRELAY_KEY: stand.relayKey,
  })
  t.equal(`${stdout}${stderr}`, '')
  const { body } = await stand.admin('GET', `/totals?ad_account_id=${ACCOUNT}`)
  t.match(body, { received: 4, invalid: 0 })
}
