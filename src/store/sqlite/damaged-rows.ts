/** Reads rows of a database of which some pages are damaged: an error ends a query, not the reading. */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'

/** The columns that were selected. SQLite does not check their types: in a damaged page they may hold anything. */
export type Row = Readonly<Record<string, unknown>>

export interface Reader {
  /** The rows before the first error, and whether there was none. */
  read(sql: string, ...values: SQLInputValue[]): { readonly rows: readonly Row[]; readonly isWhole: boolean }
  /** Nothing was missing until now. */
  isWhole(): boolean
  noteLoss(): void
}

export function createReader(db: DatabaseSync): Reader {
  let isWhole = true
  return {
    read(sql, ...values) {
      const rows: Row[] = []
      try {
        for (const row of db.prepare(sql).iterate(...values)) rows.push(row)
        return { rows, isWhole: true }
      } catch {
        isWhole = false
        return { rows, isWhole: false }
      }
    },
    isWhole: () => isWhole,
    noteLoss: () => void (isWhole = false),
  }
}

/** How much farther each look for the next readable row goes: a whole leaf that is narrower than this may be missed. */
const REACH = 1.1

/**
 * The ids of a table. Behind an error it looks for the next row that can be read, ever farther, and comes back from there.
 * Where the first leaf and the last one are lost it may find nothing: ids begin far from zero.
 */
export function walk(reader: Reader, table: string, id: string): number[] {
  const ids: number[] = []
  const list = (order: string, from: number, to: number) => {
    const { rows, isWhole } = reader.read(
      `SELECT ${id} AS id FROM ${table} NOT INDEXED WHERE ${id} BETWEEN ? AND ? ORDER BY ${id} ${order}`,
      from,
      to,
    )
    // In a damaged tree SQLite may find rows before the range: taken for the next ones they would lead back, for ever.
    const found = rows.map((row) => Number(row['id'])).filter((one) => one >= from && one <= to)
    return { found, isWhole: isWhole && found.length === rows.length }
  }
  for (let from = 0; from < Number.MAX_SAFE_INTEGER;) {
    const up = list('ASC', from, Number.MAX_SAFE_INTEGER)
    ids.push(...up.found)
    if (up.isWhole) break
    from = Math.max(from, ...up.found.slice(-1)) + 1
    let at = from
    let next = list('ASC LIMIT 1', at, Number.MAX_SAFE_INTEGER)
    for (let reach = 1; !next.isWhole && at < Number.MAX_SAFE_INTEGER; reach = Math.ceil(reach * REACH)) {
      at = Math.min(from + reach, Number.MAX_SAFE_INTEGER)
      next = list('ASC LIMIT 1', at, Number.MAX_SAFE_INTEGER)
    }
    const [to = Number.MAX_SAFE_INTEGER] = next.found
    ids.push(...list('DESC', from, to).found)
    from = to + 1
  }
  return ids
}

/** The ids of a table in the order of its index, from both ends, each up to the first error. */
export function listBothWays(reader: Reader, table: string, id: string, order: readonly string[]): number[] {
  return ['ASC', 'DESC'].flatMap((way) => {
    const by = order.map((column) => `${column} ${way}`).join()
    const { rows } = reader.read(`SELECT ${id} AS id FROM ${table} ORDER BY ${by}`)
    return rows.map((row) => row['id']).filter(isCount)
  })
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
