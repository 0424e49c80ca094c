/**
 * Tells the queue's rows by their shape alone: which table a leaf belongs to is written on interior pages, which may be
 * damaged. The shapes are those of schema.ts; a test holds the two together.
 */
import { isBlob, isInteger, isText, type Cell } from './records.ts'

/** One letter a column: `r` the row id's place, `i` integer, `t` text, `b` blob; `T`, `B`: or null. */
export const SHAPES = {
  payloads: 'riiib',
  queue: 'iiiiiiiBiiT',
  lanes: 'rtiiiiiiiiiii',
  /** The index of `lanes`: account, test, row id. */
  laneIndex: 'tii',
  seen: 'bii',
  seen_blocks: 'rib',
  dead_letters: 'rittittiiiTb',
} as const

export type RowKind = keyof typeof SHAPES

/** Columns at the end that a row of an older relay may lack. */
const ADDED: Partial<Record<RowKind, number>> = { lanes: 2 }

const KINDS = Object.keys(SHAPES) as RowKind[]

export function kindOf({ types, rowId }: Cell): RowKind | undefined {
  return KINDS.find((kind) => {
    const shape = SHAPES[kind]
    const missing = shape.length - types.length
    if (missing !== 0 && missing !== ADDED[kind]) return false
    if (shape.startsWith('r') !== (rowId !== undefined)) return false
    return types.every((type, index) => isOfShape(type, shape[index]))
  })
}

function isOfShape(type: number, letter = ''): boolean {
  switch (letter) {
    case 'r':
      return type === 0
    case 'i':
      return isInteger(type)
    case 't':
      return isText(type)
    case 'b':
      return isBlob(type)
    case 'T':
      return type === 0 || isText(type)
    default:
      return type === 0 || isBlob(type)
  }
}
