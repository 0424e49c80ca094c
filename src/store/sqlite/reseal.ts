/**
 * Seals again, in small steps, what an older master key sealed. A step looks at a bounded number of rows, so that
 * commits pass in between. What no key opens is left as it is.
 */
import type { DatabaseSync } from 'node:sqlite'
import { KEY_ID_BYTES, KEY_ID_OFFSET, type SealBinding, type Sealer } from '../../vault/seal.ts'
import { prepareRows } from './connection.ts'
import { dropOlderChecks, hasOlderChecks } from './key-checks.ts'
import type { ResealRequest, ResealStep } from '../engine/protocol.ts'
import { bindDeadLetter, bindBatch } from '../dead-letter.ts'
import type { QueueTables } from './queue-tables.ts'

const STEP_ROWS = 2000

export function createReseal(
  queue: QueueTables,
  vaultDb: DatabaseSync,
): (request: ResealRequest) => ResealStep {
  const { db, sealer } = queue
  const tables = [
    createTableReseal(queue, { name: 'payloads', id: 'batch_id', bind: bindBatch }),
    createTableReseal(queue, { name: 'dead_letters', id: 'id', bind: bindDeadLetter }),
  ]

  return function reseal({ limit, position: { table, afterId } }) {
    dropVaultChecks(vaultDb, sealer)
    if (!hasOlderChecks(db, sealer)) return { resealed: 0, position: undefined }
    const { resealed, lastId } = tables[table]!(limit, afterId)
    if (lastId !== undefined) return { resealed, position: { table, afterId: lastId } }
    if (table + 1 < tables.length) return { resealed, position: { table: table + 1, afterId: 0 } }
    dropOlderChecks(db, sealer)
    return { resealed, position: undefined }
  }
}

interface SealedTable {
  readonly name: string
  readonly id: string
  readonly bind: (adAccountId: string) => SealBinding
}

interface TableStep {
  readonly resealed: number
  /** Undefined at the end of the table. */
  readonly lastId: number | undefined
}

function createTableReseal(
  { db, queues, sealer }: QueueTables,
  { name, id, bind }: SealedTable,
): (limit: number, afterId: number) => TableStep {
  const stepEnd = prepareRows<[rowId: number]>(
    db,
    `SELECT ${id} FROM ${name} WHERE ${id} > ? ORDER BY ${id} LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
  )
  const selectOlder = prepareRows<[rowId: number, queueId: number, sealed: Uint8Array]>(
    db,
    `SELECT ${id}, queue_id, sealed FROM ${name} WHERE ${id} > ? AND ${id} <= ?
       AND substr(sealed, ${KEY_ID_OFFSET + 1}, ${KEY_ID_BYTES}) <> ? ORDER BY ${id} LIMIT ?`,
  )
  const update = db.prepare(`UPDATE ${name} SET sealed = ? WHERE ${id} = ?`)
  const currentKeyId = Buffer.from(sealer.keyId, 'hex')

  function resealRow(rowId: number, queueId: number, sealed: Uint8Array): boolean {
    const binding = bind(queues.keyOf(queueId).adAccountId)
    let plain: Uint8Array
    try {
      plain = sealer.open(sealed, binding)
    } catch {
      return false
    }
    update.run(sealer.seal(plain, binding), rowId)
    return true
  }

  return function step(limit, afterId) {
    const [end] = stepEnd.get(afterId) ?? []
    const rows = selectOlder.all(afterId, end ?? Number.MAX_SAFE_INTEGER, currentKeyId, limit)
    const resealed = rows.filter((row) => resealRow(...row)).length
    return { resealed, lastId: rows.length === limit ? rows.at(-1)?.[0] : end }
  }
}

/** The vault's documents are sealed again by the vault itself; here is only seen that it is done. */
function dropVaultChecks(vaultDb: DatabaseSync, sealer: Sealer): void {
  if (!hasOlderChecks(vaultDb, sealer)) return
  const documents = vaultDb.prepare('SELECT body FROM documents').all()
  const isDone = documents.every((row) => sealer.isCurrent(row['body'] as Uint8Array))
  if (isDone) dropOlderChecks(vaultDb, sealer)
}
