/**
 * Reads a body into one buffer of its announced length, and frees each part of a large one as soon as it is copied: bytes that wait to
 * be collected count as V8's garbage, and a list of such parts makes it collect all garbage of the thread every few large posts.
 *
 * A body that comes too slowly is refused, since it holds space meanwhile. Checked once a second: after a grace of some
 * seconds a body must have come at the lowest rate.
 */
import { errorCodes, type FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { SenderLeft, TooSlow } from '../errors.ts'
import { createSlots } from '../slots.ts'
import { LARGE_BYTES } from '../store/engine/work.ts'
import { freeBytes } from '../store/payload.ts'

/** Of a body whose length is not announced. */
const FIRST_BYTES = 4096
const CHECK_EVERY_MS = 1000
const GRACE_MS = 5000
/** A 60 KB body has 9 s at most; one of 8 MiB must be faster anyway to come within the time limit of a request. */
export const LOWEST_BYTES_PER_S = 16 * 1024

type Done = (error: Error | null, body?: Buffer) => void

interface Arrival {
  readonly startedMs: number
  readonly sizeBytes: () => number
  readonly onTooSlow: () => void
}

/** A parser for Fastify. A body over the limit is refused as soon as that is known. */
export function createBodyReader(
  limitBytes: number,
  { monotonicMs, after }: Pick<Clock, 'monotonicMs' | 'after'>,
) {
  const arriving = createSlots<Arrival>()
  let isScheduled = false

  function scheduleCheck(): void {
    if (isScheduled || arriving.size === 0) return
    isScheduled = true
    after(CHECK_EVERY_MS, check)
  }

  function check(): void {
    const nowMs = monotonicMs()
    for (const { startedMs, sizeBytes, onTooSlow } of arriving) {
      const dueBytes = ((nowMs - startedMs - GRACE_MS) / 1000) * LOWEST_BYTES_PER_S
      if (sizeBytes() < dueBytes) onTooSlow()
    }
    isScheduled = false
    scheduleCheck()
  }

  return function readBody({ raw }: FastifyRequest, _stream: unknown, done: Done): void {
    const { 'content-length': announced = FIRST_BYTES } = raw.headers
    if (Number(announced) > limitBytes) return done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    // While it waited to be admitted: no event would end the reading.
    if (raw.destroyed) return done(new SenderLeft())
    let body = Buffer.allocUnsafe(Number(announced))
    let sizeBytes = 0
    const slot = arriving.add({
      startedMs: monotonicMs(),
      sizeBytes: () => sizeBytes,
      onTooSlow: () => end(new TooSlow()),
    })
    scheduleCheck()
    raw.on('data', onPart).on('end', onEnd).on('error', onError)

    function onPart(part: Buffer): void {
      const neededBytes = sizeBytes + part.byteLength
      if (neededBytes > limitBytes) return end(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
      // Its length was not announced.
      if (neededBytes > body.byteLength) {
        const larger = Buffer.allocUnsafe(Math.min(2 * neededBytes, limitBytes))
        body.copy(larger, 0, 0, sizeBytes)
        body = larger
      }
      part.copy(body, sizeBytes)
      sizeBytes = neededBytes
      if (body.byteLength >= LARGE_BYTES) freeBytes(part)
    }

    function onEnd(): void {
      end(null, body.subarray(0, sizeBytes))
    }

    /** Its sender left. */
    function onError(error: Error): void {
      end(Object.assign(error, { statusCode: 400 }))
    }

    function end(...result: Parameters<Done>): void {
      arriving.take(slot)
      raw.off('data', onPart).off('end', onEnd).off('error', onError)
      done(...result)
    }
  }
}
