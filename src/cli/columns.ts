/**
 * Rows as columns that stand below one another, in a given width: columns are as wide as their longest cell, and when
 * they do not fit together the widest give way first. Pure; colours are put around the finished cells.
 */
import { paint, type Style } from './paint.ts'
import { cellsOf, fitCells } from './text-width.ts'

export interface Cell {
  readonly text: string
  readonly style?: Style
}

export interface TableOptions {
  /** Of the whole line, in cells of the terminal. */
  readonly width: number
  readonly hasColours: boolean
}

/** One line of text per row, without trailing spaces. */
export function layOut(rows: readonly (readonly Cell[])[], { width, hasColours }: TableOptions): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length))
  const natural = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => cellsOf(row[column]?.text ?? ''))),
  )
  // What is one cell wide is a tick: it stands close to what it is about.
  const gaps = natural.map((cells, column) => (column === count - 1 ? '' : cells === 1 ? ' ' : '  '))
  const widths = shrink(natural, width - gaps.join('').length)
  return rows.map((row) =>
    row
      .map(({ text, style }, column) => {
        const fitted = fitCells(text, widths[column]!)
        const cell = column === row.length - 1 ? fitted.trimEnd() : fitted
        return (hasColours && style !== undefined ? paint(cell, style) : cell) + (gaps[column] ?? '')
      })
      .join('')
      .trimEnd(),
  )
}

/** A column cut down to less says nothing any more. */
const NARROWEST = 8

function shrink(natural: readonly number[], available: number): number[] {
  const widths = [...natural]
  let excess = widths.reduce((sum, width) => sum + width, 0) - available
  for (; excess > 0; excess--) {
    const widest = widths.indexOf(Math.max(...widths))
    if ((widths[widest] ?? 0) <= NARROWEST) break
    widths[widest]! -= 1
  }
  return widths
}
