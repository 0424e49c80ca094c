/** Runs the steps of an operation (core/sql.ts) on a client in a transaction, or on the pool. */
import type { Step, Steps } from '../core/sql.ts'
import { COLUMN_TYPES } from '../core/tables.ts'
import { packArray, type PackedType } from './arrays.ts'
import type { Queryable } from './connect.ts'

/** What has no rows is not waited for: the next statement or the commit is sent behind it. Where it fails, the transaction does. */
export async function run<Result>(client: Queryable, steps: Steps<Result>, isKept = false): Promise<Result> {
  const sent: ReturnType<Queryable['query']>[] = []
  let step = steps.next()
  while (step.done !== true) {
    const asked = client.query(...toStatement(step.value), isKept)
    // Where a later step throws, nobody waits for it.
    void asked.catch(() => undefined)
    sent.push(asked)
    step = steps.next(step.value.kind === 'query' ? (await Promise.all(sent)).at(-1)!.rows : [])
  }
  return step.value
}

/** Each array costs the server as much as some rows. */
const FEW_ROWS = 4

/** Many rows are one statement, too: an array for each column. */
function toStatement(step: Step): [sql: string, values: unknown[]] {
  if (step.kind === 'query') return [step.text, [...step.values]]
  const { table, rows } = step
  const columns = Object.keys(rows[0]!)
  const names = columns.join(', ')
  const type = (name: string) => COLUMN_TYPES.get(name)!
  if (step.kind === 'insert' && rows.length <= FEW_ROWS) {
    let place = 0
    const places = rows.map(() => `(${columns.map((name) => `$${++place}::${type(name)}`).join(', ')})`)
    const sql = `INSERT INTO ${table} (${names}) VALUES ${places.join(', ')} ${step.onConflict}`
    return [sql, rows.flatMap((row) => columns.map((name) => row[name]))]
  }
  const types = columns.map((name, index) => `$${index + 1}::${type(name)}[]`)
  const given = `unnest(${types.join(', ')}) WITH ORDINALITY AS new (${names}, nth)`
  const values = columns.map((name) => packArray(type(name) as PackedType, rows, (row) => row[name]))
  if (step.kind === 'insert') {
    const select = `SELECT ${names} FROM ${given} ORDER BY nth`
    return [`INSERT INTO ${table} (${names}) ${select} ${step.onConflict}`, values]
  }
  const changed = columns.filter((name) => name !== step.key).map((name) => `${name} = new.${name}`)
  const key = `${table}.${step.key}`
  const where = `${key} = ANY($${columns.indexOf(step.key) + 1}) AND ${key} = new.${step.key}`
  return [`UPDATE ${table} SET ${changed.join(', ')} FROM ${given} WHERE ${where}`, values]
}
