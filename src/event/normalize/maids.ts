/** Mobile advertising ids: a UUID in lower case. Both Apple's (upper case) and Google's (lower) come in. */
import { type Spelling, spelled, UNSPELLABLE } from './spelling.ts'

export function spellAdvertisingId(text: string): Spelling {
  return UUID.test(text) ? spelled(text.toLowerCase()) : UNSPELLABLE
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
