/**
 * Renames a corrupt queue, with the time in its name and never over another file:
 * `relay.db.corrupt-20260115T120000Z` with its WAL, `…Z-wal`. Nothing in it is changed; `recover` reads it.
 */
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const STAMP = String.raw`\.corrupt-\d{8}T\d{6}Z(-\d+)?`

/** Answers the new path. May be called while the file is open. `finishQuarantine` follows. */
export function quarantine(queuePath: string, nowMs: number): string {
  const path = freePath(queuePath, nowMs)
  renameSync(queuePath, path)
  // Afterwards: the next start finds a WAL without its queue, but a queue without its WAL would pass as whole.
  if (existsSync(`${queuePath}-wal`)) renameSync(`${queuePath}-wal`, `${path}-wal`)
  // So that no later WAL is taken for this queue's.
  else makeEmptyFile(`${path}-wal`)
  return path
}

/**
 * Before a queue is begun: answers what was quarantined before it, undefined where nothing was. A process that died meanwhile did not
 * say so, and may have left the WAL, which SQLite would delete.
 */
export function finishQuarantine(queuePath: string, nowMs: number): string | undefined {
  // An empty one is not begun: the process died before.
  if (hasContent(queuePath)) return undefined
  const wal = `${queuePath}-wal`
  let path = listQuarantined(queuePath).at(-1)
  if (hasContent(wal)) {
    if (path === undefined || existsSync(`${path}-wal`)) {
      // Somebody deleted the queue alone: `recover` reads the WAL beside an empty one.
      path = freePath(queuePath, nowMs)
      makeEmptyFile(path)
    }
    renameSync(wal, `${path}-wal`)
  }
  syncPath(dirname(queuePath))
  return path
}

/** The path of a file that was quarantined, by its name alone; undefined for any other name. */
export function findQuarantined(queuePath: string, name: string): string | undefined {
  return listQuarantined(queuePath).find((path) => basename(path) === name)
}

/** Oldest first. */
function listQuarantined(queuePath: string): string[] {
  const stem = basename(queuePath)
  const ending = new RegExp(`^${STAMP}$`)
  return readdirSync(dirname(queuePath))
    .filter((name) => name.startsWith(stem) && ending.test(name.slice(stem.length)))
    .toSorted()
    .map((name) => join(dirname(queuePath), name))
}

function freePath(queuePath: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const plain = `${queuePath}.corrupt-${stamp}`
  let path = plain
  for (let count = 2; existsSync(path) || existsSync(`${path}-wal`); count++) path = `${plain}-${count}`
  return path
}

function makeEmptyFile(path: string): void {
  closeSync(openSync(path, 'wx', 0o600))
}

export function hasContent(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0
}

/** A file, or a folder after a name in it has changed. */
export function syncPath(path: string): void {
  const entry = openSync(path, 'r')
  try {
    fsyncSync(entry)
  } finally {
    closeSync(entry)
  }
}
