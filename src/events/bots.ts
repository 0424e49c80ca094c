/** Whether a user agent is a crawler's, a monitor's or a server's (`curl`, `axios`, `WordPress/6.4`), and no customer's. */
import { isbot } from 'isbot'
import { remembered } from './remembered.ts'

/** Browsers stay below it. Bounds the work, and what is kept. */
const MAX_LENGTH = 512

/** The pattern takes 10 µs, and most customers share a few hundred user agents. */
const isBot = remembered(2000, (userAgent: string) => isbot(userAgent))

export function isBotUserAgent(userAgent: string): boolean {
  return isBot(userAgent.length > MAX_LENGTH ? userAgent.slice(0, MAX_LENGTH) : userAgent)
}
