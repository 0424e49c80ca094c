/** A tree made anew over the leaves of a table whose root is lost. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { makeTables } from '../../../src/store/sqlite/connection.ts'
import { listViews } from '../../../src/store/sqlite/damaged-file.ts'
import { QUEUE_SCHEMA } from '../../../src/store/sqlite/schema.ts'
import { overwrite } from './flipped.ts'
import { makeFolder } from './ground.ts'

const folder = makeFolder(t)

// One row per leaf: no root above it, one page of children, two, three.
for (const rows of [1, 2, 251, 501]) {
  t.test(`${rows} leaves: every row is there, in a walk and by its id`, (t) => {
    const path = join(folder, `of-${rows}.db`)
    mkdirSync(`${path}.recovering`)
    const ids = Array.from({ length: rows }, (_, index) => 1_700_000_000_000_000 + index * 1000)
    const root = makeFile(path, ids)
    // A table of one leaf has no other root.
    if (rows > 1) overwrite(path, (root - 1) * 4096, Buffer.alloc(4096, 0x33))
    const [view] = listViews(path, `${path}.recovering`)
    const [rebuilt] = view!.rebuild()
    const db = rebuilt!.open()
    const walked = db.prepare('SELECT batch_id FROM payloads').all()
    t.strictSame(
      walked.map(({ batch_id: id }) => id),
      ids,
    )
    const find = db.prepare('SELECT 1 FROM payloads WHERE batch_id = ?')
    t.ok(ids.every((id) => find.get(id) !== undefined))
    db.close()
    t.end()
  })
}

/** Answers the root of the payloads. */
function makeFile(path: string, ids: readonly number[]): number {
  using db = new DatabaseSync(path)
  makeTables(db, QUEUE_SCHEMA)
  db.exec('BEGIN')
  const insert = db.prepare('INSERT INTO payloads VALUES (?, 1, 0, 0, zeroblob(3000))')
  for (const id of ids) insert.run(id)
  db.exec('COMMIT')
  const row = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'payloads'").get()
  return Number(row!['rootpage'])
}
