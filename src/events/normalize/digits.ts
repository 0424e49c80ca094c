/**
 * Digits of every script as ASCII: customers type Arabic, Persian or full-width ones into phone and postcode fields. NFKC makes
 * half of full-width digits; for ASCII, as nearly all of it is, nothing changes.
 */
export function toPlainDigits(text: string): string {
  if (ASCII.test(text)) return text
  return text.normalize('NFKC').replace(OTHER_DIGIT, digitValue).replace(LONG_VOWEL, '-')
}

const ASCII = /^[\x20-\x7e]*$/
const DIGIT = /^\p{Nd}$/u
const OTHER_DIGIT = /(?![0-9])\p{Nd}/gu
/** `１００ー０００１`: where a Japanese keyboard's long vowel is a letter to Unicode, it is a hyphen to who types it. */
const LONG_VOWEL = /(?<=\d)\u30fc(?=\d)/g

/** Unicode keeps each script's ten digits together and in order, so that a digit's value is its distance from the zero. */
function digitValue(digit: string): string {
  const codePoint = digit.codePointAt(0) ?? 0
  let value = 0
  while (value < 9 && DIGIT.test(String.fromCodePoint(codePoint - value - 1))) value++
  return String(value)
}
