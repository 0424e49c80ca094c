/**
 * The demo's page: headings, short paragraphs, tables and ticks, as wide as the terminal. It knows nothing of the
 * texts' meaning.
 */
import { cellsOf } from '../src/cli/table.ts'
import { layOut, paint, type Cell, type Style } from './columns.ts'

export interface Screen {
  heading(text: string): void
  /** A paragraph, broken at the width. */
  prose(text: string): void
  /** Lines as they are, for what is to be copied. */
  verbatim(text: string): void
  subheading(text: string): void
  /** The first row is the head. */
  table(rows: readonly (readonly Cell[])[]): void
  claim(text: string, holds: boolean): void
  blank(): void
}

export interface ScreenOptions {
  readonly write: (text: string) => void
  /** Of the terminal, in cells. */
  readonly columns: number
  readonly hasColours: boolean
}

export function createScreen({ write, columns, hasColours }: ScreenOptions): Screen {
  const width = Math.min(Math.max(columns, NARROWEST), WIDEST)
  const styled = (text: string, style: Style) => (hasColours ? paint(text, style) : text)
  const line = (text: string) => write(`${text}\n`)

  return {
    heading(text) {
      const rule = '━'.repeat(Math.max(3, width - cellsOf(text) - 5))
      line('')
      line(styled(`━━━ ${text} ${rule}`, 'bold'))
    },
    prose(text) {
      for (const part of wrap(text, width)) line(part)
    },
    verbatim: line,
    subheading(text) {
      line('')
      line(styled(text, 'cyan'))
    },
    table([head = [], ...rows]) {
      const dimHead = head.map(({ text }): Cell => ({ text, style: 'dim' }))
      for (const row of layOut([dimHead, ...rows], { width, hasColours })) line(row)
    },
    claim(text, holds) {
      const [first = '', ...rest] = wrap(text, width - 2)
      line(`${styled(tick(holds), holds ? 'green' : 'red')} ${first}`)
      for (const part of rest) line(`  ${part}`)
    },
    blank: () => line(''),
  }
}

export function tick(holds: boolean): '✓' | '✗' {
  return holds ? '✓' : '✗'
}

/** Longer lines are hard to read, narrower ones hold no table. */
const WIDEST = 120
const NARROWEST = 60

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let current = ''
  for (const word of text.split(/\s+/)) {
    const longer = current === '' ? word : `${current} ${word}`
    if (current !== '' && cellsOf(longer) > width) {
      lines.push(current)
      current = word
    } else current = longer
  }
  return [...lines, current]
}
