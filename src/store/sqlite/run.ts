/** Runs the steps of an operation (core/sql.ts) on a file, at once. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Row, Step, Steps } from '../core/sql.ts'

export type Run = <Result>(steps: Steps<Result>) => Result

/** What PostgreSQL says otherwise. */
const REWRITTEN: readonly (readonly [RegExp, string])[] = [
  [/\$(\d+)/g, '?$1'],
  [/= ANY\((\?\d+)\)/g, 'IN (SELECT value FROM json_each($1))'],
  [/position\((\?\d+) IN (\w+)\)/g, 'instr($2, $1)'],
  [/::\w+(\[\])?/g, ''],
  [/ FOR UPDATE( SKIP LOCKED)?/g, ''],
  // With a bare parameter SQLite would plan the statement anew each time: 65 µs.
  [/LIMIT (\?\d+)/g, 'LIMIT ($1 + 0)'],
]

interface WriteStatement {
  readonly columns: readonly string[]
  readonly onConflict: string
  readonly statement: StatementSync
}

/** Its statements are prepared once. */
export function createRunner(db: DatabaseSync): Run {
  const statements = new Map<string, StatementSync>()
  const ofLoneValues = new Map<string, StatementSync>()
  /** By their table: building the text each time takes as long as running it. */
  const writes = { insert: new Map<string, WriteStatement[]>(), update: new Map<string, WriteStatement[]>() }

  function prepare(text: string, areLone = false): StatementSync {
    const prepared = areLone ? ofLoneValues : statements
    let statement = prepared.get(text)
    if (statement === undefined) {
      const asked = areLone ? text.replaceAll(/= ANY\((\$\d+)\)/g, '= $1') : text
      statement = db.prepare(REWRITTEN.reduce((sql, [from, to]) => sql.replaceAll(from, to), asked))
      prepared.set(text, statement)
    }
    return statement
  }

  function perform(step: Step): readonly Row[] {
    if (step.kind === 'query') {
      // Lists of one value need no json_each: 30 µs less to acknowledge a batch.
      const areLone = step.values.every((value) => !Array.isArray(value) || value.length === 1)
      return prepare(step.text, areLone).all(...step.values.map(areLone ? toLoneInput : toInput))
    }
    const { columns, statement } = prepareWrite(step)
    for (const row of step.rows) statement.run(...columns.map((name) => toInput(row[name])))
    return []
  }

  function prepareWrite(step: Exclude<Step, { kind: 'query' }>): WriteStatement {
    const columns = Object.keys(step.rows[0]!)
    const onConflict = step.kind === 'insert' ? step.onConflict : ''
    let known = writes[step.kind].get(step.table)
    if (known === undefined) writes[step.kind].set(step.table, (known = []))
    let found = known.find((one) => one.onConflict === onConflict && areSame(one.columns, columns))
    if (found === undefined) {
      const statement = prepare(step.kind === 'insert' ? insertSql(step, columns) : updateSql(step, columns))
      known.push((found = { columns, onConflict, statement }))
    }
    return found
  }

  return function run(steps) {
    let step = steps.next()
    while (step.done !== true) step = steps.next(perform(step.value))
    return step.value
  }
}

function areSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index])
}

function insertSql({ table, onConflict }: Step & { kind: 'insert' }, columns: readonly string[]): string {
  const values = columns.map((_, index) => `$${index + 1}`).join(', ')
  return `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${values}) ${onConflict}`
}

function updateSql({ table, key }: Step & { kind: 'update' }, columns: readonly string[]): string {
  const set = columns.flatMap((name, index) => (name === key ? [] : [`${name} = $${index + 1}`]))
  return `UPDATE ${table} SET ${set.join(', ')} WHERE ${key} = $${columns.indexOf(key) + 1}`
}

function toInput(value: unknown): SQLInputValue {
  if (typeof value === 'boolean') return Number(value)
  return Array.isArray(value) ? JSON.stringify(value) : (value as SQLInputValue)
}

function toLoneInput(value: unknown): SQLInputValue {
  return toInput(Array.isArray(value) ? value[0] : value)
}
