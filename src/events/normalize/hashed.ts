/**
 * Tells hashes from raw values by their shape. SHA-256 passes; MD5 and SHA-1 cannot be turned into it and would never
 * match, so that they are dropped.
 */
export type HashShape = 'sha256' | 'other' | 'none'

export function hashShape(text: string): HashShape {
  if (text.length !== 64 && text.length !== 40 && text.length !== 32) return 'none'
  if (!HEX.test(text)) return 'none'
  return text.length === 64 ? 'sha256' : 'other'
}

const HEX = /^[0-9a-f]+$/i
