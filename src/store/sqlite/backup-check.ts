/** A thread that reads a copy as a whole, for backup.ts. Ends with an error where it is damaged. */
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { workerData } from 'node:worker_threads'
import { assertSound } from './connection.ts'

const url = pathToFileURL(String(workerData))
// Otherwise SQLite makes files beside the copy, and leaves them there.
url.searchParams.set('immutable', '1')
using db = new DatabaseSync(url, { readOnly: true })
assertSound(db)
