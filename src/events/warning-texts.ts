/** What each warning means and what to do, for people: `explain` shows it. Answers to storefronts carry the codes alone. */
import type { WarningCode } from './warning.ts'

export const WARNING_TEXTS: Readonly<Record<WarningCode, string>> = {
  unknown_field: 'Pinterest has no field of this name; it is left out. Check the spelling of the name.',
  wrong_type: 'The field does not take this kind of value; it is left out.',
  out_of_range: 'The value is outside the bounds that Pinterest sets; it is left out.',
  placeholder: 'The value stands for "nothing"; it is left out. Send no value instead.',
  wrong_hash:
    'The value is an MD5 or SHA-1 hash, which Pinterest cannot match; it is left out. Send SHA-256 or the raw value.',
  unreadable: 'The value cannot be normalized as Pinterest wants it; it is left out.',
  ambiguous_date:
    'Day and month cannot be told apart; it is left out. Set dob_format of the account, or send YYYY-MM-DD.',
  too_many_values: 'There are more values than one customer has; the rest is left out.',
  too_long: 'The value is longer than any real one; it is left out.',
  not_public: 'This is no address of a customer, perhaps that of your own proxy; it is left out.',
  phone_without_country:
    'Sent, but the calling code may be missing: send the country, or a number that begins with +.',
  event_time_converted: 'The time was not in whole seconds since the epoch; it is converted.',
  event_id_derived:
    'There was no event_id; one is made of the order id. The browser tag must use the same one.',
  unknown_event_name: 'Pinterest does not list this event name; it is sent as it is.',
  late_event: 'The event is older than an hour: Pinterest counts it as offline and cannot deduplicate it.',
  more_warnings: 'There were more warnings than are shown.',
}
