/** Pages of long lists, newest first: a cursor is the id of the last one that was listed. */
import { textOf } from './answers.ts'

/** Below 2^53. */
export const Cursor = textOf('^[1-9]\\d{0,14}$', 'is not one of this route')
/** 1 to 1,000, as a query has it. */
export const PageLimit = textOf('^([1-9]\\d{0,2}|1000)$', 'must be 1 to 1000')
export const DEFAULT_PAGE = 100

export function idOfCursor(cursor: string | undefined): { readonly beforeId?: number } {
  return cursor === undefined ? {} : { beforeId: Number(cursor) }
}

export function toCursor(id: number | undefined): string | null {
  return id === undefined ? null : String(id)
}

/** `find` is asked for one more than the limit, which tells whether there are more. */
export async function readPage<Item extends { readonly id: number }>(
  { limit: limitText, cursor }: { readonly limit?: string | undefined; readonly cursor?: string | undefined },
  find: (query: { readonly limit: number; readonly beforeId?: number }) => Promise<readonly Item[]>,
) {
  const limit = Number(limitText ?? DEFAULT_PAGE)
  const found = await find({ ...idOfCursor(cursor), limit: limit + 1 })
  const page = found.slice(0, limit)
  return { page, nextCursor: found.length > limit ? toCursor(page.at(-1)?.id) : null }
}
