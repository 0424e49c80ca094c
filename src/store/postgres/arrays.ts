/**
 * Arrays in the server's own form (`array_recv`). As text, bytes would travel as hexadecimal digits, and driver and server would
 * take ten times as long for them.
 */
export type PackedType = keyof typeof TYPES

/** By number, as `pg_type` has them; then how many bytes a value takes, and how it is written. */
const TYPES = {
  boolean: [16, () => 1, (to: Buffer, value: boolean, at: number) => to.writeUInt8(Number(value), at)],
  bytea: [17, sizeOf, write],
  uuid: [2950, sizeOf, write],
  text: [
    25,
    (value: string) => Buffer.byteLength(value),
    (to: Buffer, value: string, at: number) => to.write(value, at),
  ],
  integer: [23, () => 4, (to: Buffer, value: number, at: number) => to.writeInt32BE(value, at)],
  bigint: [20, () => 8, writeBigint],
} as const

const HEADER_BYTES = 20
const LENGTH_BYTES = 4
const NULL_LENGTH = -1

/** One value of each row; undefined is null, as to the driver. */
export function packArray<Row>(type: PackedType, rows: readonly Row[], pick: (row: Row) => unknown): Buffer {
  const [number, sizeOfValue, writeValue] = TYPES[type] as readonly [
    number,
    (value: unknown) => number,
    (to: Buffer, value: unknown, at: number) => unknown,
  ]
  const values = rows.map((row) => pick(row) ?? null)
  const sizes = values.map((value) => (value === null ? NULL_LENGTH : sizeOfValue(value)))
  const packed = Buffer.allocUnsafe(
    sizes.reduce((sum, size) => sum + LENGTH_BYTES + Math.max(0, size), HEADER_BYTES),
  )
  // One dimension, from 1 on, with nulls.
  let at = 0
  for (const field of [1, 1, number, values.length, 1]) at = packed.writeInt32BE(field, at)
  for (const [index, value] of values.entries()) {
    const size = sizes[index]!
    at = packed.writeInt32BE(size, at)
    if (size <= 0) continue
    writeValue(packed, value, at)
    at += size
  }
  return packed
}

function sizeOf({ byteLength }: Uint8Array): number {
  return byteLength
}

function write(to: Buffer, value: Uint8Array, at: number): void {
  to.set(value, at)
}

/** Whole numbers that a double holds. */
function writeBigint(to: Buffer, value: number, at: number): void {
  to.writeInt32BE(Math.floor(value / 2 ** 32), at)
  to.writeUInt32BE(value >>> 0, at + 4)
}
