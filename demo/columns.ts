/**
 * Rows with aligned columns, in a given width: columns are as wide as their longest cell, and when
 * they do not fit together the widest shrink first. Pure; colours are put around the finished cells.
 */
import { styleText } from 'node:util'
import { cellsOf, graphemesOf } from '../src/cli/table.ts'

export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan'

/** The caller knows whether the terminal has colours. */
export function paint(text: string, style: Style): string {
  return styleText(style, text, { validateStream: false })
}

export interface Cell {
  readonly text: string
  readonly style?: Style
}

/** `width`: of the whole line, in cells of the terminal. One line of text per row, without trailing spaces. */
export function layOut(
  rows: readonly (readonly Cell[])[],
  { width = Infinity, hasColours = false } = {},
): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length))
  const natural = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => cellsOf(row[column]?.text ?? ''))),
  )
  // What is one cell wide is a tick: it is close to what it is about.
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

/** A narrower column is useless. */
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

/** The text in exactly so many cells: filled up with spaces, or cut and ended with `…`. */
export function fitCells(text: string, cells: number): string {
  const missing = cells - cellsOf(text)
  if (missing >= 0) return text + ' '.repeat(missing)
  let kept = ''
  let used = 0
  for (const { segment } of graphemesOf(text)) {
    const width = cellsOf(segment)
    if (used + width > cells - 1) break
    kept += segment
    used += width
  }
  return `${kept}…${' '.repeat(cells - 1 - used)}`
}
