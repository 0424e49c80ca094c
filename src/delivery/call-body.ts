/** The body of a call: the join of the pieces' bytes. Nothing is parsed or serialized again. */
import { EVENT_SEPARATOR } from '../store/payload.ts'
import type { Piece } from './parcel.ts'

const OPENING = Buffer.from('{"data":[')
const SEPARATOR = Buffer.from(EVENT_SEPARATOR)
const CLOSING = Buffer.from(']}')

export function callBody(pieces: readonly Piece[]): Uint8Array {
  const parts: Uint8Array[] = [OPENING]
  for (const { payload } of pieces) {
    if (parts.length > 1) parts.push(SEPARATOR)
    parts.push(payload)
  }
  parts.push(CLOSING)
  return Buffer.concat(parts)
}
