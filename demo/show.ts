/** Values in a form that shows their differences: quoted, invisible characters escaped, hashes shortened. */
export function showRaw(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.replace(UNSEEN, (mark) => `\\u${mark.codePointAt(0)!.toString(16).padStart(4, '0')}`)
}

/** `8d4b1f02…9c3e`: enough to compare by eye. */
export function showHash(hash: string): string {
  return `${hash.slice(0, 8)}…${hash.slice(-4)}`
}

export function count(number: number, one: string, several = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : several}`
}

/** Combining accents, invisible characters, white space other than the space. */
const UNSEEN = /[\u0300-\u036f\p{Cf}\u00a0\u2028\u2029\u3000]/gu
