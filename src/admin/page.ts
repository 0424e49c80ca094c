/** Pages of long lists, newest first: a cursor is the id of the last one that was listed. */
import { Type } from 'typebox'

/** Below 2^53. */
export const Cursor = Type.String({ pattern: '^[1-9]\\d{0,14}$' })
/** 1 to 1,000, as a query has it. */
export const PageLimit = Type.String({ pattern: '^([1-9]\\d{0,2}|1000)$' })

export function limitOf(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : Number(text)
}

export function idOfCursor(cursor: string | undefined): { readonly beforeId?: number } {
  return cursor === undefined ? {} : { beforeId: Number(cursor) }
}

export function toCursor(id: number | undefined): string | null {
  return id === undefined ? null : String(id)
}

/** `found`: one more than the limit where there are more. */
export function takePage<Item extends { readonly id: number }>(found: readonly Item[], limit: number) {
  const page = found.slice(0, limit)
  return { page, nextCursor: found.length > limit ? toCursor(page.at(-1)?.id) : null }
}
