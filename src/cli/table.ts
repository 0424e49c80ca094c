/** A table for people: a head, and rows with numbers to the right, as wide as what is in them. */
import { cellsOf, layOut } from './columns.ts'

export type Cell = string | number | boolean | null | undefined

type CellName<Row> = { [Name in keyof Row]: Row[Name] extends Cell ? Name : never }[keyof Row]

/** By head: the field that the column shows, or how a row's cell is made. */
export type Columns<Row> = Readonly<Record<string, CellName<Row> | ((row: Row) => Cell)>>

/** `empty`: what stands there instead of a table without rows. */
export function renderTable<Row>(columns: Columns<Row>, rows: readonly Row[], empty?: string): string {
  if (rows.length === 0 && empty !== undefined) return empty
  const cells = rows.map((row) =>
    Object.values(columns).map((column) =>
      typeof column === 'function' ? column(row) : (row[column] as Cell),
    ),
  )
  const lines = [
    Object.keys(columns).map((name) => name.toUpperCase()),
    ...cells.map((row) => row.map(toText)),
  ]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => cellsOf(line[column]!))))
  const isNumber = lines[0]!.map(
    (_, column) => cells.length > 0 && cells.every((row) => typeof row[column] === 'number'),
  )
  return renderRows(
    lines.map((line) =>
      line.map((text, column) => (isNumber[column] ? text.padStart(widths[column]!) : text)),
    ),
  )
}

/** Without a head. */
export function renderRows(rows: readonly (readonly Cell[])[]): string {
  return layOut(rows.map((row) => row.map((cell) => ({ text: toText(cell) })))).join('\n')
}

function toText(cell: Cell): string {
  if (cell === null || cell === undefined) return '-'
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no'
  // A label may hold what would move the cursor.
  return String(cell).replace(/[\p{Cc}\p{Cf}]/gu, ' ')
}

const UNITS = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
] as const

/** 93784 → `1 d 2 h`; negative is past. */
export function renderSeconds(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '-'
  let rest = Math.abs(Math.round(seconds))
  const parts: string[] = []
  for (const [size, unit] of UNITS) {
    if (rest >= size) parts.push(`${Math.floor(rest / size)} ${unit}`)
    rest %= size
  }
  return `${parts.slice(0, 2).join(' ') || '0 s'}${seconds < 0 ? ' ago' : ''}`
}
