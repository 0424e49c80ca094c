/**
 * Seals what must not be on disk in the clear, with AES-256-GCM. A sealed value opens only under a known master key
 * and in the place that it was sealed for: it cannot be changed, nor moved to another owner or field.
 *
 *   version (1) | key id (4) | salt (16) | nonce (12) | ciphertext | tag (16)
 *
 * The data key is HKDF-SHA256(master key, salt). Each sealer draws its salt once, at random, and then counts its nonces:
 * random nonces under one key may only be used about 2^32 times, counted ones never repeat. Not here: keeping
 * the master key, and sealing again what an older key sealed.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto'
import { CannotOpen } from '../errors.ts'

/** 32 bytes each. What `previous` sealed still opens; only `current` seals. */
export interface MasterKeys {
  readonly current: Uint8Array
  readonly previous?: Uint8Array
}

/** The place that a value is sealed for. */
export interface SealBinding {
  /** The field, for example `batch` or `token`. */
  readonly purpose: string
  /** What it belongs to: an ad account's id, a grant's or an app's. */
  readonly owner: string
}

export type Sealer = ReturnType<typeof createSealer>

export const MASTER_KEY_BYTES = 32

/** Where a sealed value has the key id, to search for what an older key sealed. */
export const KEY_ID_OFFSET = 1
export const KEY_ID_BYTES = 4

const VERSION = 1
const SALT_OFFSET = KEY_ID_OFFSET + KEY_ID_BYTES
const SALT_BYTES = 16
const NONCE_OFFSET = SALT_OFFSET + SALT_BYTES
const NONCE_BYTES = 12
const HEADER_BYTES = NONCE_OFFSET + NONCE_BYTES
const TAG_BYTES = 16
const DATA_KEY_INFO = 'pinrelay data key v1'
const FINGERPRINT_KEY_INFO = 'pinrelay fingerprint key v1'
const FINGERPRINT_DIGITS = 16
/** One salt per run of the relay: more than these are rarely on one disk. */
const DATA_KEYS_KEPT = 64
const UINT32 = 0x1_0000_0000

export function createSealer(masterKeys: MasterKeys) {
  const ring = [masterKeys.current, masterKeys.previous].filter((key) => key !== undefined).map(toRingKey)
  const current = ring[0]!
  const salt = randomBytes(SALT_BYTES)
  const dataKey = deriveKey(current.masterKey, salt, DATA_KEY_INFO)
  const fingerprintKey = deriveKey(current.masterKey, Buffer.alloc(0), FINGERPRINT_KEY_INFO)
  const openingKeys = createKeyCache()
  let sealedCount = 0

  return {
    /** Names the current master key: 8 hex digits that reveal nothing of it. */
    keyId: current.name,
    /** Of every key that opens, the current one first. */
    keyIds: ring.map(({ name }) => name),

    seal(plain: Uint8Array, binding: SealBinding): Uint8Array {
      // From the pool: a buffer of its own costs a microsecond more per post, to make and to collect.
      const sealed = Buffer.allocUnsafe(HEADER_BYTES + plain.byteLength + TAG_BYTES)
      sealed[0] = VERSION
      sealed.set(current.id, KEY_ID_OFFSET)
      sealed.set(salt, SALT_OFFSET)
      writeNonce(sealed, sealedCount++)
      const cipher = createCipheriv('aes-256-gcm', dataKey, sealed.subarray(NONCE_OFFSET, HEADER_BYTES))
      cipher.setAAD(additionalData(current, binding))
      // GCM is a stream: `update` gives back all of it, `final` nothing.
      sealed.set(cipher.update(plain), HEADER_BYTES)
      cipher.final()
      sealed.set(cipher.getAuthTag(), sealed.byteLength - TAG_BYTES)
      return sealed
    },

    /** Throws CANNOT_OPEN, whatever the reason: it must not help anyone to guess. */
    open(sealed: Uint8Array, binding: SealBinding): Uint8Array {
      if (sealed.byteLength < HEADER_BYTES + TAG_BYTES || sealed[0] !== VERSION) throw new CannotOpen()
      for (const key of ring) {
        if (!hasKeyId(sealed, key.id)) continue
        const plain = tryOpen(sealed, openingKeys(key, sealed), additionalData(key, binding))
        if (plain !== undefined) return plain
      }
      throw new CannotOpen()
    },

    /** The same of the same text. Unlike a hash of it, nobody without the master key finds the text by trying. */
    fingerprint(text: string): string {
      const digest = createHmac('sha256', fingerprintKey).update(text).digest('hex')
      return `hmac:${digest.slice(0, FINGERPRINT_DIGITS)}`
    },

    /** Whether the current master key sealed it. */
    isCurrent: (sealed: Uint8Array) => sealed[0] === VERSION && hasKeyId(sealed, current.id),
  }
}

interface RingKey {
  readonly masterKey: KeyObject
  readonly id: Buffer
  /** The id in hex digits. */
  readonly name: string
}

function toRingKey(key: Uint8Array): RingKey {
  if (key.byteLength !== MASTER_KEY_BYTES) throw new RangeError('A master key must be 32 bytes.')
  const id = createHash('sha256').update(key).digest().subarray(0, KEY_ID_BYTES)
  return { masterKey: createSecretKey(key), id, name: id.toString('hex') }
}

function deriveKey(masterKey: KeyObject, salt: Uint8Array, info: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', masterKey, salt, info, MASTER_KEY_BYTES)))
}

/** The data keys used last; a damaged or hostile file with a new salt in each value must not fill the memory. */
function createKeyCache(): (key: RingKey, sealed: Uint8Array) => KeyObject {
  const kept = new Map<string, KeyObject>()
  return (key, sealed) => {
    const salt = sealed.subarray(SALT_OFFSET, NONCE_OFFSET)
    const name = key.id.toString('latin1') + Buffer.from(salt).toString('latin1')
    const dataKey = kept.get(name) ?? deriveKey(key.masterKey, salt, DATA_KEY_INFO)
    kept.delete(name)
    kept.set(name, dataKey)
    if (kept.size > DATA_KEYS_KEPT) kept.delete(kept.keys().next().value!)
    return dataKey
  }
}

/** 4 zero bytes, then the count in 8: a double counts exactly to 2^53, which no process reaches. */
function writeNonce(sealed: Buffer, count: number): void {
  sealed.writeUInt32BE(0, NONCE_OFFSET)
  sealed.writeUInt32BE(Math.floor(count / UINT32), NONCE_OFFSET + 4)
  sealed.writeUInt32BE(count % UINT32, NONCE_OFFSET + 8)
}

/** The purpose's length goes first, so that no two bindings give the same bytes. */
function additionalData({ name }: RingKey, { purpose, owner }: SealBinding): Buffer {
  return Buffer.from(`${VERSION}:${name}:${purpose.length}:${purpose}:${owner}`, 'utf8')
}

function hasKeyId(sealed: Uint8Array, id: Buffer): boolean {
  return id.equals(sealed.subarray(KEY_ID_OFFSET, SALT_OFFSET))
}

function tryOpen(sealed: Uint8Array, dataKey: KeyObject, aad: Buffer): Uint8Array | undefined {
  const tagOffset = sealed.byteLength - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', dataKey, sealed.subarray(NONCE_OFFSET, HEADER_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(aad)
  decipher.setAuthTag(sealed.subarray(tagOffset))
  const plain = decipher.update(sealed.subarray(HEADER_BYTES, tagOffset))
  try {
    decipher.final()
    return plain
  } catch {
    return undefined
  }
}
