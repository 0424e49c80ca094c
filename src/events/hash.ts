/**
 * The one hash that Pinterest takes: SHA-256 of the UTF-8 bytes, as lower-case hex. One-shot, since the streaming
 * interface costs nearly twice as much for texts as short as these.
 */
import { hash } from 'node:crypto'

export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex')
}
