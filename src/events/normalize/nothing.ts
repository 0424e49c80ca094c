/**
 * Values that mean "nothing": placeholders, which differ by field because Null and Na are names of people and
 * places; templates that nobody filled in; and the hashes of placeholders, which clients send when they hash without
 * a check. One that was sent would match all customers without that identifier as one person.
 */
import { sha256Hex } from '../hash.ts'
import { withoutQuotes } from './clean-text.ts'

export interface Nothing {
  /** Is the text, in any case, a placeholder of this field, or a template? */
  readonly is: (text: string) => boolean
  /** Is it the lower-case hash of one, of an empty text or a space, of such a hash, or no hash but zeros? */
  readonly isHashed: (hash: string) => boolean
}

/**
 * An id in which a program wrote that there is none: `customer_undefined`, `Guest User`, `--`. With a digit, the rest may identify
 * a customer.
 */
export function isNobodysId(id: string): boolean {
  // Nearly all need no match against Unicode's classes.
  if (/[0-9]/.test(id) || /\p{N}/u.test(id)) return false
  return WORD_OF_NOTHING.test(id) || GUEST.test(id) || !/\p{L}/u.test(id)
}

const WORD_OF_NOTHING = /(?<![\p{L}\p{N}])(?:undefined|null|\[object object\])(?![\p{L}\p{N}])/iu
const GUEST =
  /^\W?(?:(?:guest|anonymous|anon)(?:[\s_-]*(?:user|customer|shopper|buyer|visitor|checkout|order|account))?|(?:user|customer|visitor)[\s_-]*(?:guest|anonymous)|not[\s_-]*logged[\s_-]*in|not[\s_-]*set)\W?$/i

/** A digest of zeros is what a buffer holds before a program hashes into it. */
const ZERO_HASH = '0'.repeat(64)

/** What phones report whose owner forbids tracking. */
const ZERO_ADVERTISING_ID = '00000000-0000-0000-0000-000000000000'

/** What programs, databases, spreadsheets and GA write for a value that is not there. `\n` is how MySQL exports a null. */
const PLACEHOLDERS =
  'null,undefined,none,nan,nil,n/a,#n/a,n.a.,na,-,\\n,unknown,not set,[object object],#ref!,#name?,#value!,#num!,#null!,#div/0!'.split(
    ',',
  )
const EVERY_PLACEHOLDER: ReadonlySet<string> = new Set(PLACEHOLDERS)

/** What else programs hash without a check; of JSON, too. */
const HASHED_UNCHECKED = ['', ' ', '\n', '""', '[]', '{}', '0', 'NaN', '[object Object]']

/** With which a template begins, or a placeholder in quotes or brackets. */
const MARKS = '"\'`“”„‘’‚«»(<[{$#*%'

/** In brackets nothing of it is a name. */
const IN_BRACKETS = /^(?:\((.*)\)|<(.*)>)$/
const IN_LINE = /^(null|undefined|none|nil|n\/a|unknown|\[object object\])(?:[ ,]+\1)+$/

/** Of fn, ln and ct: Null, None, Nan, Nil and Na are names. */
export const NOTHING_AS_NAME = createNothing(
  PLACEHOLDERS.filter((word) => !['null', 'none', 'nan', 'nil', 'na'].includes(word)),
)

/** Of st and country: `na` is Namibia and Napoli, while `N.A.` would become `na` with the dots gone. */
export const NOTHING_AS_PLACE = createNothing(PLACEHOLDERS.filter((word) => word !== 'na'))

/** Of every other field. */
export const NOTHING = createNothing(PLACEHOLDERS)

/** MD5 and SHA-1 of an empty text. */
const OTHER_HASHES = ['d41d8cd98f00b204e9800998ecf8427e', 'da39a3ee5e6b4b0d3255bfef95601890afd80709']

/** Of external_id: the guests of a shop are not one customer. */
export const NOTHING_AS_ID = createNothing([
  ...PLACEHOLDERS,
  ...OTHER_HASHES,
  ...'0,-1,true,false,guest,anonymous,not logged in'.split(','),
])

/** A template without its value, as the whole text: Liquid, Twig, ERB, Mailchimp, Salesforce, Smarty, shells and others. */
const TEMPLATE =
  /^(?:\{\{.*\}\}|\{[%$!#].*\}|[$#]\{.*\}|\*\|.*\|\*|%%.*%%|%[\w.]+%|%7b%7b.*%7d%7d|<%.*%>|<\?.*\?>|\[\[.*\]\]|\[%.*%\]|\{[a-z_. -]*\}|\[[a-z_. -]*\]|<[a-z_. -]*>)$/is

function createNothing(placeholders: readonly string[]): Nothing {
  const words = new Set([...placeholders, ZERO_ADVERTISING_ID])
  const inBrackets = PLACEHOLDERS.flatMap((word) => [`(${word})`, `<${word}>`])
  const titleCase = (word: string) => word.slice(0, 1).toUpperCase() + word.slice(1)
  const variants = [...words, ...inBrackets].flatMap((word) => [word, word.toUpperCase(), titleCase(word)])
  // Nearly every value begins otherwise, and needs no more than that.
  const beginnings = new Set(
    [...MARKS.split(''), ...words].flatMap((one) => [one.charCodeAt(0), one.toUpperCase().charCodeAt(0)]),
  )
  const hashedOnce = [...HASHED_UNCHECKED, ...variants].map(sha256Hex)
  // A plugin hashes what a form left empty, and a tag manager hashes that again.
  const hashes = new Set([ZERO_HASH, ...hashedOnce, ...hashedOnce.map(sha256Hex)])
  // Nearly every hash begins otherwise: to look one up whole takes as long as to see that it is one.
  const hashBeginnings = new Set([...hashes].map(beginningOf))
  return {
    is: (text) => {
      if (!beginnings.has(text.charCodeAt(0))) return false
      return (text.length <= MAX_LENGTH && isNothing(text.toLowerCase(), words)) || TEMPLATE.test(text)
    },
    isHashed: (hash) => hashBeginnings.has(beginningOf(hash)) && hashes.has(hash),
  }
}

function beginningOf(hash: string): number {
  return (hash.charCodeAt(0) << 16) | (hash.charCodeAt(1) << 8) | hash.charCodeAt(2)
}

function isNothing(lower: string, words: ReadonlySet<string>): boolean {
  if (words.has(lower) || IN_LINE.test(lower)) return true
  const [, round, pointed] = IN_BRACKETS.exec(lower) ?? []
  const inner = (round ?? pointed)?.trim()
  if (inner !== undefined) return words.has(inner) || EVERY_PLACEHOLDER.has(inner)
  const unquoted = withoutQuotes(lower)
  if (unquoted === lower) return false
  return isNothing(unquoted, words) || (unquoted !== 'na' && EVERY_PLACEHOLDER.has(unquoted))
}

/** A SHA-1's. */
const MAX_LENGTH = 40
