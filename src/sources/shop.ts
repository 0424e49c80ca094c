/** What the mappings of shops have in common. */
import type { FilteredReason } from '../events/reasons.ts'
import { fillTemplate, isJsonObject, textOf, valueAt, type Json } from './payload.ts'
import type { Headers, SourceOptions } from './source.ts'

/** What a payload contains. Never throws, whatever it holds. */
export interface ShopMapping {
  isTest(payload: Json, headers: Headers): boolean
  read(payload: Json, topic: string, headers: Headers, options: SourceOptions): ShopEvent
}

export interface ShopEvent {
  /** Of the order, the checkout or the customer: the event's id where the source has no template. */
  readonly id: string | undefined
  /** When the webhook that this one may repeat was sent; undefined: it repeats none. */
  readonly repeatableMs: number | undefined
  /** Why it is not sent. */
  readonly reason?: FilteredReason | undefined
  /** Without its name and id, which map.ts adds. */
  readonly event: {
    readonly custom_data?: Json
    readonly [field: string]: unknown
  }
}

export interface Line {
  readonly line: Json
  readonly quantity: unknown
  readonly name: string | undefined
  readonly price: unknown
}

export function linesOf(order: Json): readonly Json[] {
  const lines = order['line_items']
  return Array.isArray(lines) ? lines.filter(isJsonObject) : []
}

/** The items of an order, without lines whose quantity is 0. `otherwise`: the field to take where the template has no value. */
export function contentsOf(lines: readonly Line[], template: string, otherwise: string) {
  const bought = lines.filter(({ quantity }) => quantity !== 0)
  const contents = bought.map(({ line, quantity, name, price }) => ({
    id: fillTemplate(template, line) ?? textOf(valueAt(line, otherwise)),
    item_name: name,
    item_price: price,
    quantity,
  }))
  const ids = contents.map(({ id }) => id).filter((id) => id !== undefined)
  return {
    num_items:
      bought.reduce((sum, { quantity }) => sum + (typeof quantity === 'number' ? quantity : 0), 0) ||
      undefined,
    content_ids: [...new Set(ids)],
    contents,
  }
}
