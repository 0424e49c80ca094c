/** A table for people: a head, and rows with numbers to the right, as wide as what is in them. */
export type Cell = string | number | boolean | null | undefined

type CellName<Row> = { [Name in keyof Row]: Row[Name] extends Cell ? Name : never }[keyof Row]

/** By head: the field that the column shows, or how a row's cell is made. */
export type Columns<Row> = Readonly<Record<string, CellName<Row> | ((row: Row) => Cell)>>

/** `empty`: printed instead of a table without rows. */
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
  const isNumber = lines[0]!.map(
    (_, column) => cells.length > 0 && cells.every((row) => typeof row[column] === 'number'),
  )
  return layOut(lines, isNumber)
}

/** Rows alone, without a head. */
export function renderRows(rows: readonly (readonly Cell[])[]): string {
  return layOut(rows.map((row) => row.map(toText)))
}

/** Columns are as wide as their longest cell; `isNumber`: to the right. */
function layOut(rows: readonly (readonly string[])[], isNumber: readonly boolean[] = []): string {
  const count = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => cellsOf(row[column] ?? ''))),
  )
  const fill = (text: string, column: number) => {
    const blank = ' '.repeat(widths[column]! - cellsOf(text))
    return isNumber[column] ? blank + text : text + blank
  }
  return rows.map((row) => row.map(fill).join('  ').trimEnd()).join('\n')
}

let segmenter: Intl.Segmenter | undefined

/** Loaded only for what is not ASCII: its data takes longer than all commands. */
export function graphemesOf(text: string): Intl.Segments {
  return (segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' })).segment(text)
}

/** Chinese, Japanese and Korean characters take two cells. An approximation: no terminal agrees with another on all of Unicode. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60\uffe0-\uffe6\p{Emoji_Presentation}]/u

/** How many cells of a terminal a text takes. */
export function cellsOf(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length
  let cells = 0
  for (const { segment } of graphemesOf(text)) cells += widthOf(segment)
  return cells
}

function widthOf(grapheme: string): 0 | 1 | 2 {
  if (/^[\p{M}\p{Cf}]+$/u.test(grapheme)) return 0
  return WIDE.test(grapheme) ? 2 : 1
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
