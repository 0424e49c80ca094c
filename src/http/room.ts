/**
 * Room for the bodies of posts that are being read: what many large posts at once would need is bounded, since a parsed
 * body takes several times its bytes. A post for which there is no room is refused before its body is read.
 */
import type { FastifyRequest } from 'fastify'
import { TooBusy } from '../errors.ts'

export interface Room {
  /** Throws TOO_BUSY. The answer gives the room back, and may be called more than once. */
  enter(request: FastifyRequest): () => void
}

/** Bodies of the largest size that fit at the same time. */
const LARGEST_BODIES = 8

export function createRoom(bodyLimitBytes: number): Room {
  let freeBytes = LARGEST_BODIES * bodyLimitBytes
  return {
    enter({ headers }) {
      // Without a length (chunked) it may become as large as is allowed. Over the limit it is refused unread.
      const announced = Number(headers['content-length'] ?? bodyLimitBytes)
      const sizeBytes = announced <= bodyLimitBytes ? announced : 0
      if (sizeBytes > freeBytes) throw new TooBusy()
      freeBytes -= sizeBytes
      let isInside = true
      return () => {
        if (isInside) freeBytes += sizeBytes
        isInside = false
      }
    },
  }
}
