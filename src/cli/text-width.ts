/**
 * How many cells of a terminal a text takes: Chinese, Japanese and Korean letters take two, combining marks none. An
 * approximation that holds for the scripts of the demo; no terminal agrees with another on all of Unicode.
 */
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60\uffe0-\uffe6\p{Emoji_Presentation}]/u

export function cellsOf(text: string): number {
  let cells = 0
  for (const { segment } of graphemes.segment(text)) cells += widthOf(segment)
  return cells
}

/** The text in exactly so many cells: filled up with spaces, or cut and ended with `…`. */
export function fitCells(text: string, cells: number): string {
  const missing = cells - cellsOf(text)
  if (missing >= 0) return text + ' '.repeat(missing)
  let kept = ''
  let used = 0
  for (const { segment } of graphemes.segment(text)) {
    const width = widthOf(segment)
    if (used + width > cells - 1) break
    kept += segment
    used += width
  }
  return `${kept}…${' '.repeat(cells - 1 - used)}`
}

function widthOf(grapheme: string): 0 | 1 | 2 {
  if (/^[\p{M}\p{Cf}]+$/u.test(grapheme)) return 0
  return WIDE.test(grapheme) ? 2 : 1
}
