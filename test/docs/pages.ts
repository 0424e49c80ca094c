/** The pages for people, as text. */
import { readdirSync, readFileSync } from 'node:fs'

export const locate = (path: string) => new URL(`../../${path}`, import.meta.url)
export const read = (path: string) => readFileSync(locate(path), 'utf8')

/** Paths from the project's root. */
export const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'client/README.md',
  ...readdirSync(locate('docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

export interface Block {
  /** `sh`, `json`, …; empty for an indented block. */
  readonly language: string
  readonly text: string
}

/** The code blocks of a page, in order. */
export function blocksOf(page: string): Block[] {
  const blocks = page.matchAll(/^```(\w*)\n(.*?)^```$|(?<=\n\n)((?: {4}[^\n]*\n(?:\n(?= {4}))?)+)/gms)
  return [...blocks].map(([, language = '', fenced, indented]) => ({
    language,
    text: fenced ?? indented!.replace(/^ {4}/gm, ''),
  }))
}

/** The cells of every table row under a heading, up to the next one. */
export function tableUnder(page: string, heading: string): string[][] {
  const start = page.indexOf(`\n${heading}\n`)
  const rest = page.slice(start + heading.length + 2)
  const end = rest.search(/\n#+ /)
  const lines = (end < 0 ? rest : rest.slice(0, end)).split('\n').filter((line) => line.startsWith('|'))
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}
