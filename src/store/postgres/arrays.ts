/**
 * Arrays in the server's own form (`array_recv`). As text, bytes would travel as hexadecimal digits, and driver and server would
 * take ten times as long for them.
 */
export type PackedType = keyof typeof TYPES

/** By number, as `pg_type` has them. */
const TYPES = {
  boolean: [16, (value: boolean) => Buffer.of(value ? 1 : 0)],
  bytea: [17, (value: Uint8Array) => value],
  uuid: [2950, (value: Uint8Array) => value],
  text: [25, (value: string) => Buffer.from(value)],
  integer: [23, packInteger],
  bigint: [20, packBigint],
} as const

const HEADER_BYTES = 20
const LENGTH_BYTES = 4
const NULL_LENGTH = -1

/** One value of each row. */
export function packArray<Row>(type: PackedType, rows: readonly Row[], pick: (row: Row) => unknown): Buffer {
  const [number, pack] = TYPES[type] as readonly [number, (value: unknown) => Uint8Array]
  const items = rows.map(pick).map((value) => (value === null ? undefined : pack(value)))
  const size = items.reduce((sum, item) => sum + LENGTH_BYTES + (item?.byteLength ?? 0), HEADER_BYTES)
  const packed = Buffer.allocUnsafe(size)
  // One dimension, from 1 on, with nulls.
  let at = 0
  for (const field of [1, 1, number, items.length, 1]) at = packed.writeInt32BE(field, at)
  for (const item of items) {
    at = packed.writeInt32BE(item?.byteLength ?? NULL_LENGTH, at)
    if (item === undefined) continue
    packed.set(item, at)
    at += item.byteLength
  }
  return packed
}

function packInteger(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}

function packBigint(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}
