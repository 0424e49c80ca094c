/** Whether a user agent is a crawler's, a monitor's or a server's (`curl`, `axios`, `WordPress/6.4`), and no customer's. */
import { isbot } from 'isbot'

/** The pattern takes 10 µs, and most customers share a few hundred user agents. */
const KNOWN = new Map<string, boolean>()
const MAX_KNOWN = 2000
/** Browsers stay below it. Bounds the work, and what is kept. */
const MAX_LENGTH = 512

export function isBotUserAgent(userAgent: string): boolean {
  const key = userAgent.length > MAX_LENGTH ? userAgent.slice(0, MAX_LENGTH) : userAgent
  let isBot = KNOWN.get(key)
  if (isBot === undefined) {
    isBot = isbot(key)
    if (KNOWN.size >= MAX_KNOWN) KNOWN.clear()
    KNOWN.set(key, isBot)
  }
  return isBot
}
