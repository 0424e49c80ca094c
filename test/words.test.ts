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
  'show, report, or notify': /\b(tell|tells|told|telling)\b(?! apart)/,
  'is, or is in': /\bst(and|ands|ood|anding)\b(?!-in|[- ]?by)/,
  'fix, or repair': /\bmend(s|ed|ing)?\b/,
  continue: /\bgo(es)? on\b/,
}

/** Characters of a text. */
const ALLOWED: readonly (readonly [path: RegExp, words: RegExp])[] = [
  [/^src\/(events\/|cli\/text-width)|^docs\/normalization\.md$|^client\//, /\bletters?\b/g],
]

/** What a word that was replaced leaves behind: `dead dead letter`, `a acknowledgement`. Also over the end of a comment's line. */
const GAP = '(?:\\s+(?:\\*|//|#)?\\s*)'
const TWICE = new RegExp(
  `\\b(a|an|and|are|batch|be|by|call|dead|event|for|from|has|in|is|it|letter|not|on|or|post|queue|the|this|to|was|which|with)${GAP}\\1\\b`,
  'i',
)
const A_VOWEL = new RegExp(
  `\\ba${GAP}(account|acknowledgement|action|address|admission|advice|alert|answer|arrival|attempt|audit|empty|engine|entry|error|event|expired|id|identifier|image|index|invalid|old|older|open|operation|operator|order|outage|outcome|own|owner|unavailable|unknown)s?\\b`,
  'i',
)

const root = fileURLToPath(new URL('..', import.meta.url))
const isMade = (path: string) => /(^|\/)(node_modules|dist)$/.test(path)
const paths = globSync(
  [
    '{src,docs,deploy,client}/**/*.{ts,js,css,html,md,yml,yaml,json,conf}',
    '*.md',
    'docker-compose*.yml',
    'Dockerfile',
  ],
  { cwd: root, exclude: isMade },
)

/** `lineOfLanes` and `LINE_OF_LANES` become words. */
function split(text: string): string {
  return text
    .replaceAll(/(?<=[a-z\d])(?=[A-Z])/g, ' ')
    .replaceAll('_', ' ')
    .toLowerCase()
}

function findReplaced(path: string, text: string): string[] {
  let words = split(`${path}\n${text}`)
  for (const [allowedIn, allowed] of ALLOWED) if (allowedIn.test(path)) words = words.replaceAll(allowed, '')
  return Object.entries(REPLACED).flatMap(([better, replaced]) => {
    const found = replaced.exec(words)
    if (found === null) return []
    const line = words.slice(0, found.index).split('\n').length - 1
    return [`${path}:${line}: "${found[0]}": say ${better}`]
  })
}

t.test('no replaced word is used', async (t) => {
  t.ok(paths.length > 250)
  for (const path of paths) {
    t.strictSame(findReplaced(path, readFileSync(`${root}${path}`, 'utf8')), [])
  }
})

t.test('no replaced word is used in a title of a test', async (t) => {
  let titles = 0
  for (const path of globSync('test/**/*.ts', { cwd: root })) {
    const text = readFileSync(`${root}${path}`, 'utf8')
    for (const [, , title = ''] of text.matchAll(/\btest\(\s*(['"`])(.*?)\1/gs)) {
      titles += 1
      t.strictSame(findReplaced(path.replace('test/', 'src/'), title), [], title)
    }
  }
  t.ok(titles > 1000)
})

t.test('no word comes twice, and none after the wrong article', async (t) => {
  for (const example of ['the the', 'a dead\n * dead letter']) t.match(example, TWICE)
  for (const example of ['a outcome', 'A\n// event']) t.match(example, A_VOWEL)
  const others = globSync('{test,demo,chaos,sandbox,bench}/**/*.ts', { cwd: root, exclude: isMade })
  for (const path of [...paths, ...others]) {
    if (path === 'test/words.test.ts') continue
    const text = readFileSync(`${root}${path}`, 'utf8')
    for (const slip of [TWICE, A_VOWEL]) {
      const found = slip.exec(text)
      if (found) t.fail(`${path}:${text.slice(0, found.index).split('\n').length}: "${found[0]}"`)
    }
  }
})
