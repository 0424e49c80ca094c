/** User agent, click id, partner id: sent as text, trimmed as every value is. */
import { type Normalized, normalizedAs } from './normalized.ts'

export function normalizePlainText(text: string): Normalized {
  return normalizedAs(text)
}
