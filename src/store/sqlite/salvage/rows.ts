/**
 * Tells the queue's rows by their shape alone: which table a leaf belongs to is written on interior pages, which may be
 * damaged. The shapes are those of schema.ts; a test holds the two together.
 */
import { isBlob, isInteger, isText, type Cell } from './records.ts'

/** One letter a column: `r` the row id's place, `i` integer, `t` text, `b` blob; `T`, `B`: or null. */
export const SHAPES = {
  payloads: 'riiib',
  queue: 'iiiiiiiBiiT',
  lanes: 'rtiiiiiiiii',
  /** The index of `lanes`: account, test, row id. */
  laneIndex: 'tii',
  seen: 'bii',
  seen_blocks: 'rib',
  dead_letters: 'rittittiiiTb',
} as const

export type RowKind = keyof typeof SHAPES

const KINDS = Object.keys(SHAPES) as RowKind[]

export function kindOf({ types, rowId }: Cell): RowKind | undefined {
  return KINDS.find((kind) => {
    const shape = SHAPES[kind]
    if (shape.length !== types.length || shape.startsWith('r') !== (rowId !== undefined)) return false
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
