/** User agent, click id, partner id: sent as text, trimmed as every value is. */
import { type Spelling, spelled } from './spelling.ts'

export function spellPlainText(text: string): Spelling {
  return spelled(text)
}
