import { globSync, readFileSync } from 'node:fs'

const src = new URL('../../src/', import.meta.url)

/** All TypeScript of `src` but one file, without comments: to see whether what a table declares is used. */
export function readSource(but?: string): string {
  const files = globSync('**/*.ts', { cwd: src }).filter((file) => file !== but)
  const texts = files.map((file) => readFileSync(new URL(file, src), 'utf8'))
  return texts.join('\n').replace(/^\s*(\/?\*|\/\/).*$/gm, '')
}
