/**
 * What is sealed, and for what: a batch's payload and a dead letter for their queue, so that each proves by itself whose it
 * is and whether it is a test. And the key by which an event is known again.
 */
import { hash } from 'node:crypto'
import {
  constants,
  createZstdCompress,
  zstdCompressSync,
  zstdDecompressSync,
  type ZstdOptions,
} from 'node:zlib'
import type { SealBinding, Sealer } from '../../vault/seal.ts'
import type { EventIdentity, QueueKey } from '../store.ts'
import { nameOfQueue } from './rows.ts'

/** Of SHA-256: two events of one store never share so many. */
export const DEDUPE_KEY_BYTES = 16

export type Bind = (queue: QueueKey) => SealBinding

export const bindBatch: Bind = (queue) => ({ purpose: 'batch', owner: nameOfQueue(queue) })
export const bindDeadLetter: Bind = (queue) => ({ purpose: 'dead_letter', owner: nameOfQueue(queue) })

/** The lengths go first, so that no two identities give the same text. */
export function dedupeKey(adAccountId: string, eventName: string, eventId: string): Uint8Array {
  const identity = `${adAccountId.length}:${adAccountId}${eventName.length}:${eventName}${eventId}`
  // By way of a text: half the time of a hash that is a buffer of its own.
  return Buffer.from(hash('sha256', identity, 'hex').slice(0, 2 * DEDUPE_KEY_BYTES), 'hex')
}

/** Of the events of one batch. */
export function dedupeKeys(
  { adAccountId, isTest }: QueueKey,
  events: readonly EventIdentity[],
): Uint8Array[] {
  return isTest ? [] : events.map(({ eventName, eventId }) => dedupeKey(adAccountId, eventName, eventId))
}

/** Undefined when no key opens it. */
export function openSealed(sealer: Sealer, sealed: Uint8Array, binding: SealBinding): Uint8Array | undefined {
  const stored = openCompressed(sealer, sealed, binding)
  return stored && decompress(stored)
}

/** The same, as it was sealed: perhaps compressed. */
export function openCompressed(
  sealer: Sealer,
  sealed: Uint8Array,
  binding: SealBinding,
): Uint8Array | undefined {
  try {
    return sealer.open(sealed, binding)
  } catch {
    return undefined
  }
}

/** 4 ms of CPU for 1,000 events, to a quarter of their bytes. A larger window takes more memory and saves little. */
const ZSTD_PARAMS = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_windowLog]: 17 }
/** Some payloads' compressed bytes: most need one step of the pool then, of which each waits for the busy engine. */
const ZSTD_CHUNK_BYTES = 1024 * 1024
/** Node's least. */
const LEAST_CHUNK_BYTES = 64
/** Not UTF-8, and so never the beginning of what was not compressed. */
const ZSTD_MAGIC = 0xfd2fb528

/**
 * Compresses on a thread of libuv's pool, one after the other. A single stream has a frame for each, since setting one up takes 80 µs of CPU,
 * as long as compressing 100 events does. Rejects, and begins another stream, where zstd fails. `options` are for tests.
 */
export function createCompressor(options: ZstdOptions = {}): (plain: Uint8Array) => Promise<Uint8Array> {
  let write: ReturnType<typeof openFrames> | undefined
  return (plain) => {
    write ??= openFrames(options, () => (write = undefined))
    return write(plain)
  }
}

function openFrames(options: ZstdOptions, onFailed: () => void) {
  let parts: Uint8Array[] = []
  /** Node calls back none of the writes that an error ends. */
  const waiting = new Set<(error: Error) => void>()
  const stream = createZstdCompress({
    params: ZSTD_PARAMS,
    flush: constants.ZSTD_e_end,
    chunkSize: ZSTD_CHUNK_BYTES,
    ...options,
  })
  stream.on('data', (part: Uint8Array) => parts.push(part))
  stream.on('error', (error) => {
    onFailed()
    for (const reject of waiting) reject(error)
  })
  return (plain: Uint8Array) =>
    new Promise<Uint8Array>((resolve, reject) => {
      waiting.add(reject)
      stream.write(plain, () => {
        waiting.delete(reject)
        resolve(parts.length === 1 ? parts[0]! : Buffer.concat(parts))
        parts = []
      })
    })
}

/** 30 µs for ten events: less than the way to the pool and back. */
export function compressAtOnce(plain: Uint8Array): Uint8Array {
  const chunkSize = LEAST_CHUNK_BYTES + Math.ceil(plain.byteLength / 3)
  return zstdCompressSync(plain, { params: ZSTD_PARAMS, pledgedSrcSize: plain.byteLength, chunkSize })
}

export function decompress(stored: Uint8Array): Uint8Array {
  const { buffer, byteOffset, byteLength } = stored
  const isCompressed = byteLength > 4 && new DataView(buffer, byteOffset).getUint32(0, true) === ZSTD_MAGIC
  return isCompressed ? zstdDecompressSync(stored) : stored
}

/** The message, a line feed, the event's JSON: neither holds a line feed itself. */
export function packDeadLetter(message: string, json: string): Uint8Array {
  return Buffer.from(`${message.replaceAll('\n', ' ')}\n${json}`)
}

/** Its message, and the event's JSON; undefined when no key opens it. */
export function openDeadLetter(sealer: Sealer, queue: QueueKey, sealed: Uint8Array) {
  const content = openSealed(sealer, sealed, bindDeadLetter(queue))
  if (content === undefined) return undefined
  const text = Buffer.from(content).toString('utf8')
  const end = text.indexOf('\n')
  return { message: text.slice(0, end), json: text.slice(end + 1) }
}

/**
 * The relay wrote this JSON itself; a wrong field would be its own fault and must not stop an acknowledgement. `orderId`: empty where
 * there is none.
 */
export function readIdentity(json: string) {
  const event = JSON.parse(json) as Readonly<Record<string, unknown>>
  const timeS = event['event_time']
  return {
    eventName: toText(event['event_name']),
    eventId: toText(event['event_id']),
    orderId: toText((event['custom_data'] as { readonly order_id?: unknown } | undefined)?.order_id),
    eventTimeS: typeof timeS === 'number' ? Math.floor(timeS) : 0,
  }
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
