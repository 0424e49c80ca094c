/**
 * Shows enough of a customer's value to find a mistake by, and not who it is: the first letter or digit of each side of
 * an `@`, the ending of a domain, all punctuation and space, and how long it is. Short values show nothing but that.
 */
const HIDDEN = '•'
/** Of a shorter one, the first letter would be too large a part. */
const LONG_ENOUGH = 4
const MAX_SHOWN = 100

export function maskValue(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? '(a list)' : '(an object)'
  const text = String(value)
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  const at = shown.lastIndexOf('@')
  if (at < 0) return maskPart(shown)
  const domain = shown.slice(at + 1)
  const ending = /\.[a-z]{2,}\s*$/i.exec(domain)?.[0] ?? ''
  return `${maskPart(shown.slice(0, at))}@${maskPart(domain.slice(0, domain.length - ending.length))}${ending}`
}

function maskPart(text: string): string {
  const letters = text.match(/[\p{L}\p{N}]/gu)?.length ?? 0
  let isShown = letters >= LONG_ENOUGH
  return text.replace(/[\p{L}\p{N}\p{M}]/gu, (letter) => {
    const kept = isShown ? letter : HIDDEN
    isShown = false
    return kept
  })
}
