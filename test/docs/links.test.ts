/** Links of the pages, and links to them from code, deploy files and alerts, lead to files and headings that exist. */
import { existsSync, globSync } from 'node:fs'
import { dirname, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { anchorOf } from '../../docs/generate/api.ts'
import { locate, PAGES, read } from './pages.ts'

function anchorsOf(page: string): Set<string> {
  const text = read(page).replace(/^```.*?^```$/gms, '')
  return new Set([...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading!)))
}

/** What is wrong with a link; empty: nothing. */
function problemOf(path: string, anchor: string | undefined): string {
  if (!existsSync(locate(path))) return `${path} does not exist`
  if (anchor === undefined || anchorsOf(path).has(anchor)) return ''
  return `${path} has no heading ${anchor}`
}

t.test('every relative link leads to a file, and every anchor to a heading', async (t) => {
  let count = 0
  for (const page of PAGES) {
    for (const [, target] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue
      const [path = '', anchor] = target!.split('#')
      t.equal(
        problemOf(path === '' ? page : normalize(`${dirname(page)}/${path}`), anchor),
        '',
        `${page}: ${target}`,
      )
      count += 1
    }
  }
  t.ok(count > 100)
})

t.test('every page that code, deploy files and alerts name exists, with its heading', async (t) => {
  const files = globSync(
    [
      '{src,sandbox,demo,bench,chaos,test,deploy}/**/*.{ts,js,html,yml,yaml,conf,json}',
      '*.yml',
      'Dockerfile',
      'package.json',
    ],
    { cwd: fileURLToPath(locate('.')), exclude: (path) => path.endsWith('node_modules') },
  )
  let count = 0
  for (const file of files) {
    for (const [target, path, anchor] of read(file).matchAll(/\b(docs\/[\w-]+\.md)(?:#([\w-]+))?/g)) {
      t.equal(problemOf(path!, anchor), '', `${file}: ${target}`)
      count += 1
    }
  }
  t.ok(count > 20)
})

t.test('the index lists every page once', async (t) => {
  const listed = [...read('docs/README.md').matchAll(/^\|.*\]\(([\w-]+\.md)\)/gm)].map(
    ([, name]) => `docs/${name}`,
  )
  const pages = PAGES.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md')
  t.strictSame(listed.toSorted(), pages.toSorted())
})
