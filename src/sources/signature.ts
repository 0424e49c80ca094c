/** Whether a webhook is signed with one of a source's secrets. Takes as long for a wrong signature as for a right one. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { time } from '../events/coerce/time.ts'
import type { Headers, Signature } from './source.ts'

export interface Signed {
  readonly headers: Headers
  readonly body: Uint8Array
}

export function isSigned(
  signature: Signature,
  secrets: readonly string[],
  { headers, body }: Signed,
  nowMs: number,
): boolean {
  const { header, prefix, timestampHeader, toleranceSeconds, algorithm, encoding } = signature
  const value = headers[header] ?? ''
  const timestamp = timestampHeader === undefined ? undefined : (headers[timestampHeader] ?? '')
  const text = value.startsWith(prefix) ? value.slice(prefix.length) : ''
  const given = sha256(algorithm === 'none' ? text : Buffer.from(text, encoding))
  let isRight = false
  // Each is compared, whichever is right.
  for (const secret of secrets) {
    const wanted = algorithm === 'none' ? secret : hmacOf(algorithm, secret, timestamp, body)
    isRight = timingSafeEqual(sha256(wanted), given) || isRight
  }
  return isRight && (timestamp === undefined || isFresh(timestamp, toleranceSeconds, nowMs))
}

function hmacOf(algorithm: string, secret: string, timestamp: string | undefined, body: Uint8Array): Buffer {
  const hmac = createHmac(algorithm, secret)
  if (timestamp !== undefined) hmac.update(`${timestamp}.`)
  return hmac.update(body).digest()
}

/** Hashed, so that both sides of the comparison have one length. */
function sha256(value: string | Uint8Array): Buffer {
  return createHash('sha256').update(value).digest()
}

function isFresh(timestamp: string, toleranceSeconds: number, nowMs: number): boolean {
  const reading = time(timestamp)
  return reading.status === 'read' && Math.abs(nowMs / 1000 - reading.value) <= toleranceSeconds
}
