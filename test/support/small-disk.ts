/** A disk of a few MiB, to be filled to the last byte: a tmpfs, which only root may mount. */
import { execFileSync } from 'node:child_process'
import { openSync, rmSync, closeSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { atExit, openFolder } from './at-exit.ts'

export interface SmallDisk {
  readonly folder: string
  /** A file of somebody else takes every byte that is free. */
  fill(): void
  /** And goes away again. */
  clear(): void
}

/** Not `tmpdir()`, which may lead where only this user may go: PostgreSQL runs as another one. */
const PARENT = '/tmp'

/** Undefined where it cannot be had: the test counts as skipped then. Unmounted when the test ends, however it ends. */
export function mountSmallDisk(t: Test, size: string): SmallDisk | undefined {
  const { path: folder, remove } = openFolder('disk', PARENT)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'pipe' })
  } catch {
    remove()
    void t.test('on a small disk', { skip: 'only root may mount a small disk' }, () => {})
    return undefined
  }
  // Lazily: what still has it open must not keep it.
  const unmount = () => void execFileSync('umount', ['-l', folder])
  const forget = atExit(unmount)
  t.teardown(() => {
    forget()
    unmount()
    remove()
  })
  const foreign = join(folder, 'foreign')
  return {
    folder,
    fill: () => fillFile(foreign),
    clear: () => rmSync(foreign, { force: true }),
  }
}

function fillFile(path: string): void {
  const file = openSync(path, 'a')
  const chunk = Buffer.alloc(64 * 1024, 1)
  try {
    for (let size = chunk.length; size > 0;) {
      try {
        writeSync(file, chunk, 0, size)
      } catch {
        size = Math.floor(size / 2)
      }
    }
  } finally {
    closeSync(file)
  }
}
