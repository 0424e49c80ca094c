/**
 * Reads a body into one buffer of its announced length, and frees each part of a large one as soon as it is copied: bytes that wait to
 * be collected count as V8's garbage, and a list of such parts makes it collect all garbage of the thread every few large posts.
 */
import { errorCodes, type FastifyRequest } from 'fastify'
import { LARGE_BYTES } from '../store/engine/work.ts'
import { freeBytes } from '../store/payload.ts'

/** Of a body whose length is not announced. */
const FIRST_BYTES = 4096

type Done = (error: Error | null, body?: Buffer) => void

/** A parser for Fastify. A body over the limit is refused as soon as that is known. */
export function createBodyReader(limitBytes: number) {
  return function readBody({ raw }: FastifyRequest, _stream: unknown, done: Done): void {
    const { 'content-length': announced = FIRST_BYTES } = raw.headers
    if (Number(announced) > limitBytes) return done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE())
    let body = Buffer.allocUnsafe(Number(announced))
    let sizeBytes = 0
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
      raw.off('data', onPart).off('end', onEnd).off('error', onError)
      done(...result)
    }
  }
}
