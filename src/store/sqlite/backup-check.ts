/** A thread that reads a copy as a whole, for backup.ts. Answers `ok`, or what is wrong. */
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { assertSound } from './connection.ts'

parentPort!.postMessage(check(String(workerData)), [])

function check(path: string): string {
  try {
    const url = pathToFileURL(path)
    // Otherwise SQLite makes files beside the copy, and leaves them there.
    url.searchParams.set('immutable', '1')
    using db = new DatabaseSync(url, { readOnly: true })
    assertSound(db)
    return 'ok'
  } catch (error) {
    return (error as Error).message
  }
}
