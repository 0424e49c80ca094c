/** A table for people: a head, and rows with numbers to the right, as wide as what is in them. */
import { layOut } from './columns.ts'
import { cellsOf } from './text-width.ts'

export type Cell = string | number | boolean | null | undefined

export function renderTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [head.map((name) => name.toUpperCase()), ...rows.map((row) => row.map(toText))]
  const isNumber = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'),
  )
  const widths = head.map((_, column) => Math.max(...lines.map((line) => cellsOf(line[column]!))))
  const aligned = lines.map((line) =>
    line.map((text, column) => ({ text: isNumber[column] ? text.padStart(widths[column]!) : text })),
  )
  return layOut(aligned, { width: Infinity, hasColours: false }).join('\n')
}

function toText(cell: Cell): string {
  if (cell === null || cell === undefined) return '-'
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no'
  // A label may hold what would move the cursor.
  return String(cell).replace(/[\p{Cc}\p{Cf}]/gu, ' ')
}

/** 93784 → `1 d 2 h`; negative is past. */
export function renderSeconds(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '-'
  const past = seconds < 0 ? ' ago' : ''
  const units = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ] as const
  let rest = Math.abs(Math.round(seconds))
  const parts: string[] = []
  for (const [size, unit] of units) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) parts.push(`${count} ${unit}`)
  }
  return `${parts.slice(0, 2).join(' ') || '0 s'}${past}`
}
