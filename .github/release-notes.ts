/**
 * `npx node .github/release-notes.ts v1.2.3`: prints the changelog's part of a version. Fails where the tag is not the version of the
 * relay, the client and the chart, or where the changelog calls it not released.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const versionOf = (path: string) => (JSON.parse(read(path)) as { readonly version: string }).version

/** Throws with a line that says what does not fit. */
export function releaseNotes(
  tag: string,
  changelog: string,
  versions: Readonly<Record<string, string>>,
): string {
  const version = tag.replace(/^v/, '')
  for (const [path, found] of Object.entries(versions)) {
    if (found !== version) throw new Error(`${path} has version ${found}, the tag is ${tag}`)
  }
  const part = changelog.split(/^## /m).find((text) => text.split(/[\s,]/, 1)[0] === version)
  if (part === undefined) throw new Error(`CHANGELOG.md has no part for ${version}`)
  const [heading = '', ...lines] = part.split('\n')
  if (heading.includes('not released')) throw new Error(`CHANGELOG.md says that ${version} is not released`)
  return `${lines.join('\n').trim()}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const chart = /^version: (\S+)$/m.exec(read('deploy/chart/Chart.yaml'))?.[1] ?? 'none'
    const versions = {
      'package.json': versionOf('package.json'),
      'client/package.json': versionOf('client/package.json'),
      'deploy/chart/Chart.yaml': chart,
    }
    process.stdout.write(releaseNotes(process.argv[2] ?? '', read('CHANGELOG.md'), versions))
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 1
  }
}
