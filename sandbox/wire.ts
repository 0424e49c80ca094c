/**
 * Reads requests and sends answers, whole or broken on purpose. `signal` ends what is still being sent when the
 * sandbox closes.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'

import type { Answer } from './answer.ts'
import type { Fault } from './faults.ts'

/** `too_large` leaves the rest of the body unread. */
export type Body = Buffer | 'too_large' | 'aborted'

export function readBody(request: IncomingMessage, limitBytes: number): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    request.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes <= limitBytes) {
        chunks.push(chunk)
      } else {
        request.removeAllListeners('data').pause()
        resolve('too_large')
      }
    })
    request.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    // Comes after `end` as well, when the promise is acknowledged.
    request.on('close', () => resolve('aborted'))
  })
}

export function send(response: ServerResponse, answer: Answer): void {
  begin(response, answer, answer.body.length)
  response.end(answer.body)
}

/** Closes the connection with the answer: for requests whose body was not read to its end. */
export function sendEarly(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  send(response, { ...answer, headers: { ...answer.headers, connection: 'close' } })
  request.resume()
}

/** The connection ends with a reset (ECONNRESET), not with an orderly close. */
export function reset({ socket }: IncomingMessage): void {
  socket.resetAndDestroy()
}

/** Promises more bytes than it sends, then closes the connection. */
export async function sendTruncated(
  response: ServerResponse,
  answer: Answer,
  missingBytes: number,
): Promise<void> {
  const sent = answer.body.subarray(0, Math.max(answer.body.length - missingBytes, 0))
  begin(response, answer, sent.length + missingBytes)
  await new Promise<void>((resolve) => response.write(sent, () => resolve()))
  response.socket?.destroySoon()
}

export async function sendDripping(
  response: ServerResponse,
  answer: Answer,
  { chunkBytes, intervalMs }: Extract<Fault, { kind: 'drip' }>,
  signal: AbortSignal,
): Promise<void> {
  async function* drip(): AsyncGenerator<Buffer> {
    for (let offset = 0; offset < answer.body.length; offset += chunkBytes) {
      if (offset > 0) await delay(intervalMs, undefined, { signal })
      yield answer.body.subarray(offset, offset + chunkBytes)
    }
  }
  begin(response, answer, answer.body.length)
  await pipeline(Readable.from(drip()), response, { signal })
}

/** The answer with one more field, `padding`, of `sizeBytes`. */
export async function sendHuge(
  response: ServerResponse,
  answer: Answer,
  sizeBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const head = Buffer.concat([answer.body.subarray(0, -1), Buffer.from(',"padding":"')])
  const tail = Buffer.from('"}')
  function* pad(): Generator<Buffer> {
    yield head
    for (let left = sizeBytes; left > 0; left -= PADDING.length) yield PADDING.subarray(0, left)
    yield tail
  }
  begin(response, answer, head.length + sizeBytes + tail.length)
  await pipeline(Readable.from(pad()), response, { signal })
}

const PADDING = Buffer.alloc(64 * 1024, 'x')

function begin(response: ServerResponse, { status, headers }: Answer, contentLength: number): void {
  response.writeHead(
    status,
    headers === undefined
      ? { 'content-type': 'application/json', 'content-length': contentLength }
      : { 'content-type': 'application/json', ...headers, 'content-length': contentLength },
  )
}
