/**
 * What must not outlive this process, however it ends but by SIGKILL: processes, folders, disks. The last one ends first, so that a process
 * is gone before its folder.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

const ends = new Set<() => void>()
// A signal alone is no exit. Who listens to it as well ends the process in a way of its own. Each signal, not the first alone: npm passes
// on the Ctrl-C that this process has, too, and one without a listener would end it in the middle of its ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => void (process.listenerCount(signal) > 1 || process.exit(130)))
process.once('exit', () => {
  for (const end of [...ends].toReversed()) {
    try {
      end()
    } catch {
      // The others have to end all the same.
    }
  }
})

/** Answers a function to be called when it has ended before. */
export function atExit(end: () => void): () => void {
  ends.add(end)
  return () => void ends.delete(end)
}

export interface Folder {
  readonly path: string
  readonly remove: () => void
}

/** `name`: of what it is for. */
export function openFolder(name: string, parent = tmpdir()): Folder {
  const path = mkdtempSync(join(parent, `pinrelay-${name}-`))
  // A process that was just killed may still write there.
  const remove = () => rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  const forget = atExit(remove)
  return {
    path,
    remove: () => {
      forget()
      remove()
    },
  }
}

/** Removed when the test ends. Unlike `t.testdir()` it is a folder of its own in every file of a process. */
export function makeFolder(t: Pick<Test, 'teardown'>): string {
  const { path, remove } = openFolder('test')
  t.teardown(remove)
  return path
}
