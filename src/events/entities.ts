/**
 * HTML entities: shops store and send what their forms escaped. Decoded once, as the page would show it. Only those that end in a
 * semicolon: `?a=1&copy=2` is an address with two parameters.
 */
import { decodeHTMLStrict } from 'entities/decode'

export function decodeEntities(text: string): string {
  return text.includes(';') && text.includes('&') ? decodeHTMLStrict(text) : text
}

/** Still escaped after it was decoded once: escaped twice, so that nobody knows what was typed. */
export function hasEntity(text: string): boolean {
  return text.includes('&') && decodeHTMLStrict(text) !== text
}
