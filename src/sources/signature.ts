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
  const { header, prefix, timestampHeader, toleranceSeconds } = signature
  const value = headers[header] ?? ''
  const timestamp = timestampHeader === undefined ? undefined : (headers[timestampHeader] ?? '')
  const given = readGiven(signature, value.startsWith(prefix) ? value.slice(prefix.length) : '')
  let isRight = false
  // Each is compared, whichever is right.
  for (const secret of secrets) {
    const wanted = digestOf(signature, secret, timestamp, body)
    const isEqual = timingSafeEqual(wanted, given.byteLength === wanted.byteLength ? given : flipped(wanted))
    isRight = isEqual || isRight
  }
  return isRight && (timestamp === undefined || isFresh(timestamp, toleranceSeconds, nowMs))
}

function digestOf(
  { algorithm }: Signature,
  secret: string,
  timestamp: string | undefined,
  body: Uint8Array,
): Buffer {
  if (algorithm === 'none') return sha256(secret)
  const hmac = createHmac(algorithm, secret)
  if (timestamp !== undefined) hmac.update(`${timestamp}.`)
  return hmac.update(body).digest()
}

function readGiven({ algorithm, encoding }: Signature, text: string): Buffer {
  return algorithm === 'none' ? sha256(text) : Buffer.from(text, encoding)
}

/** So that secrets of any length are compared in the same time. */
function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function flipped(digest: Buffer): Buffer {
  return Buffer.from(digest.map((byte) => byte ^ 0xff))
}

function isFresh(timestamp: string, toleranceSeconds: number, nowMs: number): boolean {
  const reading = time(timestamp)
  return reading.status === 'read' && Math.abs(nowMs / 1000 - reading.value) <= toleranceSeconds
}
