/**
 * `npm run build -- [FOLDER]`: the relay and the sandbox as JavaScript, in `dist` or FOLDER; the image runs it. Types are blanked out, so
 * each line and column is that of the source. What is no TypeScript is copied.
 */
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, resolve } from 'node:path'

const root = import.meta.dirname
const output = resolve(process.argv[2] ?? join(root, 'dist'))

for (const folder of ['src', 'sandbox']) rmSync(join(output, folder), { recursive: true, force: true })
for (const path of globSync(['package.json', '{src,sandbox}/**/*.*'], { cwd: root })) {
  const source = join(root, path)
  if (path.endsWith('.d.ts') || path.endsWith('tsconfig.json')) continue
  const target = join(output, path.replace(/\.ts$/, '.js'))
  if (path.endsWith('.ts')) compile(source, target)
  else cpSync(source, target)
  // For every user, whatever the umask of the clone: the image runs as one who owns nothing. cli.ts is executable.
  chmodSync(target, (statSync(source).mode & 0o100) === 0 ? 0o644 : 0o755)
}

function compile(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, withJsPaths(stripTypeScriptTypes(readFileSync(source, 'utf8'))))
}

/** Imports, and the files that threads begin with. */
function withJsPaths(code: string): string {
  return code.replaceAll(/(?<='\.{1,2}\/[^'\n]*)\.ts(?=')/g, '.js')
}
