import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createSealer } from '../../src/vault/seal.ts'
import fc from '../support/fast-check.ts'

const PLACE = { purpose: 'token', owner: '549755885175' }
const CANNOT_OPEN = { code: 'CANNOT_OPEN' }
const NONCE_OFFSET = 21

t.test('what is sealed opens in its place, with any sealer of the same key', async () => {
  const current = randomBytes(32)
  const sealer = createSealer({ current })
  const other = createSealer({ current })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), fc.string(), (plain, purpose, owner) => {
      const sealed = sealer.seal(plain, { purpose, owner })
      for (const opener of [sealer, other]) {
        if (Buffer.compare(opener.open(sealed, { purpose, owner }), plain) !== 0) return false
      }
      return sealer.isCurrent(sealed)
    }),
  )
})

t.test('a fingerprint is the same with any sealer of the same key, and no other', async (t) => {
  const current = randomBytes(32)
  const sealer = createSealer({ current })
  t.match(sealer.fingerprint('4711'), /^hmac:[0-9a-f]{16}$/)
  t.equal(
    createSealer({ current, previous: randomBytes(32) }).fingerprint('4711'),
    sealer.fingerprint('4711'),
  )
  t.not(sealer.fingerprint('4712'), sealer.fingerprint('4711'))
  t.not(createSealer({ current: randomBytes(32) }).fingerprint('4711'), sealer.fingerprint('4711'))
})

t.test('no flipped bit goes unnoticed', async (t) => {
  const sealer = createSealer({ current: randomBytes(32) })
  const sealed = sealer.seal(Buffer.from('a bearer token'), PLACE)
  for (let bit = 0; bit < sealed.byteLength * 8; bit++) {
    const flipped = Buffer.from(sealed)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    t.throws(() => sealer.open(flipped, PLACE), CANNOT_OPEN, `bit ${bit}`)
  }
})

t.test('a part of a sealed value does not open', async (t) => {
  const sealer = createSealer({ current: randomBytes(32) })
  const sealed = sealer.seal(Buffer.from('a bearer token'), PLACE)
  for (let length = 0; length < sealed.byteLength; length++) {
    t.throws(() => sealer.open(sealed.subarray(0, length), PLACE), CANNOT_OPEN)
  }
})

t.test('nothing opens in another account or field', async (t) => {
  const sealer = createSealer({ current: randomBytes(32) })
  const sealed = sealer.seal(Buffer.from('a bearer token'), PLACE)
  t.throws(() => sealer.open(sealed, { ...PLACE, owner: '1' }), CANNOT_OPEN)
  t.throws(() => sealer.open(sealed, { ...PLACE, purpose: 'batch' }), CANNOT_OPEN)
  const shifted = sealer.seal(Buffer.from(''), { purpose: 'a', owner: 'b:c' })
  t.throws(() => sealer.open(shifted, { purpose: 'a:b', owner: 'c' }), CANNOT_OPEN)
})

t.test('the previous key opens and does not seal; an unknown one does neither', async (t) => {
  const [older, newer] = [randomBytes(32), randomBytes(32)]
  const before = createSealer({ current: older })
  const after = createSealer({ current: newer, previous: older })
  const sealed = before.seal(Buffer.from('plain'), PLACE)
  t.same(after.open(sealed, PLACE), Buffer.from('plain'))
  t.equal(after.isCurrent(sealed), false)
  const resealed = after.seal(after.open(sealed, PLACE), PLACE)
  t.equal(after.isCurrent(resealed), true)
  t.throws(() => before.open(resealed, PLACE), CANNOT_OPEN)
  t.throws(() => createSealer({ current: newer }).open(sealed, PLACE), CANNOT_OPEN)
  t.not(after.keyId, before.keyId)
})

t.test('no nonce repeats under one key, and no two sealers share a key', async (t) => {
  const current = randomBytes(32)
  const used = new Set<string>()
  for (let run = 0; run < 5; run++) {
    const sealer = createSealer({ current })
    for (let count = 0; count < 2000; count++) {
      const sealed = Buffer.from(sealer.seal(Buffer.from('same'), PLACE))
      used.add(sealed.toString('hex', 0, NONCE_OFFSET + 12))
    }
  }
  t.equal(used.size, 10_000)
})

t.test('more salts than are remembered still open', async (t) => {
  const current = randomBytes(32)
  const sealed = Array.from({ length: 200 }, () => createSealer({ current }).seal(Buffer.from('x'), PLACE))
  const opener = createSealer({ current })
  for (const value of [...sealed, ...sealed]) t.same(opener.open(value, PLACE), Buffer.from('x'))
})

t.test('an error holds neither the plain text nor a key', async (t) => {
  const current = randomBytes(32)
  const sealer = createSealer({ current })
  const sealed = sealer.seal(Buffer.from('a bearer token'), PLACE)
  try {
    sealer.open(sealed, { ...PLACE, owner: '1' })
    t.fail('it opened')
  } catch (error) {
    const text = `${String(error)} ${JSON.stringify(error)} ${(error as Error).stack}`
    t.notMatch(text, /bearer token/)
    t.notOk(text.includes(current.toString('hex')) || text.includes(current.toString('base64')))
    t.equal((error as Error).cause, undefined)
  }
})

t.test('a key of another length is refused', async (t) => {
  t.throws(() => createSealer({ current: randomBytes(31) }), RangeError)
})
