/**
 * Pinterest's texts, scrubbed so that they can be stored, logged and shown: without tokens (a token error may echo the token) and
 * without the values of the event they speak of, whole or quoted in part. What it costs is bounded, whatever the event
 * holds: texts are cut, and an event with too many values to search for loses its texts instead.
 */
const REMOVED = '[removed]'
const LENGTH_LIMIT = 500
/** More than the limit is scrubbed, so that removals do not uncover unscrubbed text. */
const READ_LIMIT = 4 * LENGTH_LIMIT
const VALUES_LIMIT = 5000
/** A quotation may be cut short; this many characters of a value identify it. */
const KNOWN_BY_LENGTH = 12

/** Shapes of secrets and personal data, whatever the event. */
const SECRET_SHAPES = [
  /\bbearer\s+\S+/gi,
  /\bpin[a-z]_[\w.~+/=-]+/gi,
  /\bprl_[\w-]+/gi,
  /\b[0-9a-f]{32,}\b/gi,
  /[^\s@<>"']{1,64}@[^\s@<>"']{1,255}/g,
  /\b\d{1,3}(?:\.\d{1,3}){3}\b/g,
  /(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])/gi,
]

/** No customer data, and often what the message is about. */
const SPEAKABLE_KEYS = new Set(['event_name', 'event_id', 'action_source', 'currency', 'event_time'])

/** `eventJson`: the event that the texts are about, if they are about one. It is read once, when a text needs it. */
export function createScrub(token: string | undefined, eventJson?: string): (text: string) => string {
  let values: readonly string[] | undefined
  return (text) => {
    if (text === '') return ''
    values ??= [...formsOf(token), ...(eventJson === undefined ? [] : valuesOf(eventJson))]
    if (values.length > VALUES_LIMIT) return REMOVED
    let scrubbed = removeAll(text.slice(0, READ_LIMIT), values)
    for (const shape of SECRET_SHAPES) scrubbed = scrubbed.replace(shape, REMOVED)
    // Control characters would break a log line or a terminal.
    return scrubbed.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').slice(0, LENGTH_LIMIT)
  }
}

function valuesOf(eventJson: string): string[] {
  const values = new Set<string>()
  collect(JSON.parse(eventJson), values)
  return [...values].flatMap(formsOf)
}

function collect(node: unknown, values: Set<string>): void {
  if (values.size > VALUES_LIMIT) return
  // One or two characters (`f`, `us`, a quantity) identify nobody and are part of most words.
  if (typeof node === 'string' && node.length > 2) {
    values.add(node.slice(0, READ_LIMIT))
    // What a URL carries may be quoted without the rest of it.
    const query = URL.parse(node)?.searchParams.values() ?? []
    for (const value of query) if (value.length > 2) values.add(value)
  }
  if (typeof node === 'number' && node > 99) values.add(String(node))
  if (typeof node !== 'object' || node === null) return
  for (const [key, value] of Object.entries(node)) if (!SPEAKABLE_KEYS.has(key)) collect(value, values)
}

/** A value as it is, and as JSON or a URL would quote it. */
function formsOf(value: string | undefined): string[] {
  if (!value) return []
  if (/^[\w.~-]*$/.test(value)) return [value]
  return [...new Set([value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value.toWellFormed())])]
}

/** Removes each value, whatever its case, also where only its beginning is there, at least KNOWN_BY_LENGTH characters. */
function removeAll(text: string, values: readonly string[]): string {
  const folded = fold(text)
  const marks = new Uint8Array(text.length)
  for (const value of values) {
    const wanted = fold(value)
    const known = wanted.slice(0, KNOWN_BY_LENGTH)
    for (let at = folded.indexOf(known); at >= 0; at = folded.indexOf(known, at + 1)) {
      let end = at + known.length
      while (end < text.length && folded[end] === wanted[end - at]) end += 1
      marks.fill(1, at, end)
    }
  }
  return takeOut(text, marks)
}

function takeOut(text: string, marks: Uint8Array): string {
  let kept = ''
  for (let at = 0; at < text.length; at += 1) {
    if (marks[at] === 0) kept += text[at]
    else if (at === 0 || marks[at - 1] === 0) kept += REMOVED
  }
  return kept
}

/** Lower case where that keeps every character in its place. */
function fold(text: string): string {
  const lower = text.toLowerCase()
  return lower.length === text.length ? lower : text
}
