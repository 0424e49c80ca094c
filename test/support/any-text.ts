/** Any text for properties: fast-check's own `unit: 'binary'` first takes a second to make a table of all code points. */
import fc from './fast-check.ts'

const SURROGATES = { first: 0xd800, count: 0x800 }

const codePoint = fc
  .nat(0x10ffff - SURROGATES.count)
  .map((n) => String.fromCodePoint(n < SURROGATES.first ? n : n + SURROGATES.count))
const ascii = fc.nat(0x7f).map((code) => String.fromCharCode(code))

/** Code points of all of Unicode, every other one of ASCII. */
export function anyText(lengths: { readonly minLength?: number; readonly maxLength?: number } = {}) {
  return fc.string({ ...lengths, unit: fc.oneof(ascii, codePoint) })
}
