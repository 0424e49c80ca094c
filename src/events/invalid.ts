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
  /** Nothing is left by which Pinterest could tell who the customer is. */
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
