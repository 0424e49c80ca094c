/**
 * Renames a corrupt queue, with the time in its name and never over another file:
 * `relay.db.corrupt-20260115T120000Z` with its WAL, `…Z-wal`. Nothing in it is changed; `recover` reads it.
 */
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const STAMP = String.raw`\.corrupt-\d{8}T\d{6}Z(-\d+)?`

/** Returns the new path. May be called while the file is open. */
export function quarantine(queuePath: string, nowMs: number): string {
  const path = freePath(queuePath, nowMs)
  renameSync(queuePath, path)
  // Afterwards: the next start finds a WAL without its queue, but a queue without its WAL would pass as whole.
  if (existsSync(`${queuePath}-wal`)) renameSync(`${queuePath}-wal`, `${path}-wal`)
  syncPath(dirname(queuePath))
  return path
}

/** Before the queue is opened: a process that died between the two renames left a WAL without its queue. */
export function finishQuarantine(queuePath: string): void {
  const wal = `${queuePath}-wal`
  if (existsSync(queuePath) || !existsSync(wal)) return
  const newest = listQuarantined(queuePath).at(-1)
  if (newest === undefined || existsSync(`${newest}-wal`)) return
  renameSync(wal, `${newest}-wal`)
  syncPath(dirname(queuePath))
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

/** A file, or a folder after a name in it has changed. */
export function syncPath(path: string): void {
  const entry = openSync(path, 'r')
  try {
    fsyncSync(entry)
  } finally {
    closeSync(entry)
  }
}
