/**
 * What the relay tells a storefront about an event that it takes all the same.
 *
 * A warning names the field by its path, with the index where a field holds several values, and a stable code. It
 * never holds the value: warnings reach answers, logs and metrics.
 */
export interface Warning {
  /** For example `user_data.em[1]` or `custom_data.value`. */
  readonly path: string
  readonly code: WarningCode
}

export type WarningCode =
  /** The key is not one of Pinterest's; it was dropped. */
  | 'unknown_field'
  /** Not of the field's type (text, number, flag, object), or text that is not well-formed Unicode; dropped. */
  | 'wrong_type'
  /** Outside the bounds, or not on the list, that Pinterest sets for the field; dropped. */
  | 'out_of_range'
  /** Stands for "nothing" (`null`, `n/a`, …) or is a hash of nothing; dropped. */
  | 'placeholder'
  /** 32 or 40 hex digits: hashed with MD5 or SHA-1, which Pinterest cannot match; dropped. */
  | 'wrong_hash'
  /** The field's rule could not normalize it with confidence; dropped. */
  | 'unreadable'
  /** Day and month cannot be told apart without the account's `dob_format`; dropped. */
  | 'ambiguous_date'
  /** The field, or user_data as a whole, holds more values or keys than the relay reads; the rest was dropped. */
  | 'too_many_values'
  /** Longer than any real value; dropped unread. */
  | 'too_long'
  /** Private, loopback or otherwise not an address of a customer; dropped. */
  | 'not_public'
  /** Sent, but without a country the number may lack its calling code. */
  | 'phone_without_country'
  /** A time came in milliseconds, with a fraction or as ISO 8601 and was converted to whole seconds. */
  | 'event_time_converted'
  /** `event_id` was missing and derived from `order_id`. */
  | 'event_id_derived'
  /** The event name is not in Pinterest's list; sent as it is. */
  | 'unknown_event_name'
  /** Older than one hour: Pinterest counts it as offline and cannot deduplicate it. */
  | 'late_event'
  /** There were more warnings for this event than one answer should carry; the rest is left out. */
  | 'more_warnings'

/** `user_data.em[0]: unreadable`, joined with `; ` when there are several. */
export function renderWarnings(warnings: readonly Warning[]): string {
  return warnings.map(({ path, code }) => `${path}: ${code}`).join('; ')
}
