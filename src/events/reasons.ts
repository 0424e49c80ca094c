/**
 * The stable words for what the relay says of an event: warnings, why it is invalid, and why it is filtered. Answers, logs, metrics
 * and lists use them, so none comes with a value.
 */

/** Of an event that the relay takes all the same. Answers to storefronts carry path and code alone. */
export interface Warning {
  /** For example `user_data.em[1]` or `custom_data.value`. */
  readonly path: string
  readonly code: WarningCode
  /** What the relay knows more of it; never a value. */
  readonly hint?: string
}

/** The value was dropped, so that Pinterest can match less. */
const lost = (text: string) => ({ severity: 'lost', text }) as const
const note = (text: string) => ({ severity: 'note', text }) as const

export const WARNINGS = {
  unknown_field: lost(
    'Pinterest has no field of this name; it is left out. Check the name for a typing error.',
  ),
  wrong_type: lost('The field does not take this kind of value; it is left out.'),
  out_of_range: lost('The value is outside the bounds that Pinterest sets; it is left out.'),
  /** Half of a surrogate pair, or U+FFFD. */
  broken_text: lost(
    'A letter of the text was lost on the way here (a wrong character encoding); it is left out.',
  ),
  /** `null`, `n/a`, `{{customer.email}}`, …, or a hash of nothing. */
  placeholder: lost('The value means "nothing"; it is left out. Send no value instead.'),
  /** As many hex digits as MD5, SHA-1, SHA-384 or SHA-512 have, or their Base64. */
  wrong_hash: lost(
    'The value is a hash other than SHA-256, which Pinterest cannot match; it is left out. Send SHA-256 or the raw value.',
  ),
  unreadable: lost('The value cannot be normalized as Pinterest wants it; it is left out.'),
  ambiguous_date: lost(
    'Day and month cannot be distinguished; it is left out. Set dob_format of the account, or send YYYY-MM-DD.',
  ),
  /** Of the field, or keys of user_data as a whole. */
  too_many_values: note('There are more values than one customer has; the rest is left out.'),
  /** Dropped unread. */
  too_long: lost('The value is longer than any real one; it is left out.'),
  /** Private, loopback or otherwise not an address of a customer. */
  not_public: lost('This is no address of a customer, perhaps that of your own proxy; it is left out.'),
  phone_without_country: note(
    'Sent, but the calling code may be missing: send the country, or a number that begins with +.',
  ),
  /** Milliseconds, a fraction or ISO 8601. */
  event_time_converted: note('The time was not in whole seconds since the epoch; it is converted.'),
  event_id_derived: note(
    'There was no event_id, or one that means nothing; one is made of the order id. The browser tag must use the same one.',
  ),
  /** The hint is the name that is sent. */
  event_name_mapped: note(
    "The name is that of Pinterest's tag, of GA4 or of Meta; Pinterest's own name for the event is sent.",
  ),
  /** The hint names a known one. */
  unknown_event_name: note('Pinterest does not list this event name; it is not changed.'),
  /** A privacy choice. */
  moved: note('The privacy choice does not belong here; it is sent in its place.'),
  /** Beside `duplicate`: see store/engine/recent-customers.ts. */
  event_id_shared: note(
    'Another customer came with this event_id before, so the event counts as a duplicate and is not sent. A page cache may have kept the id.',
  ),
  raw_email: note('An e-mail address is left out: Pinterest must get none that is not hashed.'),
  late_event: note(
    'The event is older than an hour: Pinterest counts it as offline and cannot deduplicate it.',
  ),
  bot_user_agent: note("The user agent is that of a bot or of software, not of a customer's browser."),
  more_warnings: note('There were more warnings than are shown.'),
} as const

export type WarningCode = keyof typeof WARNINGS

/** `user_data.em[0]: unreadable` or `event_name: event_name_mapped (checkout)`, joined with `; ` when there are several. */
export function renderWarnings(warnings: readonly Warning[]): string {
  return warnings
    .map(({ path, code, hint }) => `${path}: ${code}${hint === undefined ? '' : ` (${hint})`}`)
    .join('; ')
}

/** Why the relay takes no part of an event. The words are stable: answers, metrics and filters use them. */
export type InvalidReason =
  /** The event or its `user_data` is not an object. */
  | 'not_an_object'
  | 'missing_field'
  /** `event_name` or `event_id` is no text, not well-formed, too long, or holds control characters. */
  | 'unusable_text'
  | 'unknown_action_source'
  /** `event_time` is neither seconds, milliseconds nor ISO 8601 with a time zone. */
  | 'unreadable_time'
  | 'future_event'
  | 'too_old'
  /** Money or a count that is no number. */
  | 'not_a_number'
  /** Of an event with money: without a currency Pinterest takes the advertiser's own. */
  | 'unreadable_currency'
  /** `opt_out` or `opt_out_type` cannot be read; or the choice is in another API's words; leaving it out could undo it. */
  | 'unreadable_opt_out'
  /** Nothing is left by which Pinterest could identify the customer. */
  | 'no_identifier'
  /** A webhook's body, or what its source's expression makes of it. */
  | 'not_json'
  | 'mapping_failed'

/** Whether the event is invalid for nothing but the relay's own clock. */
export function isForItsAge(reason: InvalidReason): boolean {
  return reason === 'future_event' || reason === 'too_old'
}

/** Names the path and the rule, never the value. */
export interface Invalid {
  readonly reason: InvalidReason
  /** For example `custom_data.contents[3].item_price`; empty for the event itself. */
  readonly path: string
  /** Begins with the path. */
  readonly message: string
}

/** Why the relay does not send an event that it could send. The words are stable: answers and lists use them. */
export const FILTERED = {
  bot_user_agent: "user_data.client_user_agent: is a bot's, and the account has such events filtered",
  // Of webhooks: see sources/.
  no_consent: 'the field that consent requires is not true',
  not_mapped: 'no event is set for this topic',
  not_paid: 'the status of the order is none of the paid ones',
  cancelled: 'the order is cancelled, voided or refunded',
  empty_order: 'the order has no item with a quantity',
  renewal: 'the order renews a subscription',
  point_of_sale: 'the order is of a point of sale',
  late_repeat: 'what it is about is older than DEDUPE_HOURS, so it may be a repeat of what was sent then',
  no_event: 'the expression makes no event of it',
} as const

export type FilteredReason = keyof typeof FILTERED
