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
