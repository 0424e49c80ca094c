/** One word for each thing: words that were replaced by the field's own do not come back, in code, comments or pages. */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/** With the word to use. */
const REPLACED: Readonly<Record<string, RegExp>> = {
  batch: /\bparcels?\b/,
  queue: /\blanes?\b/,
  'limiter, or port': /\bdoors?\b/,
  'quota lease': /\bpurses?\b/,
  'recent statistics': /\bpuls(e|es|ing)\b/,
  'reserved space': /\bballast\b/,
  recover: /\bsalvag(e|es|ed|ing)\b/,
  'outcome, or decision': /\bverdicts?\b/,
  acknowledge: /\bsettl(e|es|ed|ing|ement|ements)\b/,
  'dead letter': /\b(bur(y|ies|ied|ying|ial|ials)|(?<!dead[\s-]+)letters?)\b/,
  'circuit breaker': /\bgates?\b/,
  'post limiter, call limiter, or check': /\bguards?\b/,
  totals: /\bbooks?\b/,
  quarantine: /\bset[\s-]aside\b/,
  prefetch: /\bsuppl(y|ies|ied)\b/,
  slice: /\bpieces?\b/,
  normalize: /\b(mis)?spell(s|ed|ing|ings)?\b|\bspelt\b|\b(un)?spellable\b/,
}

/** Characters of a text. */
const ALLOWED: readonly (readonly [path: RegExp, words: RegExp])[] = [
  [/^src\/(events\/|cli\/text-width)|^docs\/normalization\.md$|^client\//, /\bletters?\b/g],
]

const root = fileURLToPath(new URL('..', import.meta.url))
const paths = globSync(
  [
    '{src,docs,deploy,client}/**/*.{ts,js,css,html,md,yml,yaml,json,conf}',
    '*.md',
    'docker-compose*.yml',
    'Dockerfile',
  ],
  { cwd: root, exclude: (path) => path.endsWith('node_modules') },
)

/** `lineOfLanes` and `LINE_OF_LANES` become words. */
function split(text: string): string {
  return text
    .replaceAll(/(?<=[a-z\d])(?=[A-Z])/g, ' ')
    .replaceAll('_', ' ')
    .toLowerCase()
}

t.test('no replaced word is used', async (t) => {
  t.ok(paths.length > 250)
  for (const path of paths) {
    let text = split(`${path}\n${readFileSync(`${root}${path}`, 'utf8')}`)
    for (const [allowedIn, words] of ALLOWED) if (allowedIn.test(path)) text = text.replaceAll(words, '')
    for (const [better, replaced] of Object.entries(REPLACED)) {
      const found = replaced.exec(text)
      if (found === null) continue
      const line = text.slice(0, found.index).split('\n').length - 1
      t.fail(`${path}:${line}: "${found[0]}": say ${better}`)
    }
  }
})
