/**
 * Keys in warnings. A storefront chooses the keys of its JSON, so that an unknown one may hold personal data or be
 * megabytes long; only a key that looks like a field's name is shown.
 */
const FIELD_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,39}$/

/** Shown in place of a key that is not safe to show. */
const UNNAMED = '(unnamed)'

export function safeKey(key: string): string {
  return FIELD_NAME.test(key) ? key : UNNAMED
}
