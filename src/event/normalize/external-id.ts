/** The storefront's own customer id, as it is: it must equal what the browser tag sends. */
import { type Spelling, spelled } from './spelling.ts'

export function spellExternalId(text: string): Spelling {
  return spelled(text)
}
