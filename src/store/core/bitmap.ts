/** Which events of a batch are acknowledged: one bit per position. */
export function makeBitmap(count: number): Uint8Array {
  return new Uint8Array(Math.ceil(count / 8))
}

/** Answers whether the position is new in it. */
export function addPosition(bitmap: Uint8Array, position: number): boolean {
  const bit = 1 << (position & 7)
  const bits = bitmap[position >> 3]!
  bitmap[position >> 3] = bits | bit
  return (bits & bit) === 0
}

/** Ascending. */
export function listPositions(bitmap: Uint8Array): number[] {
  const positions: number[] = []
  for (let position = 0; position < bitmap.length * 8; position++) {
    if ((bitmap[position >> 3]! & (1 << (position & 7))) !== 0) positions.push(position)
  }
  return positions
}
