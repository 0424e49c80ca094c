import t from 'tap'
import { sha256Hex } from '../../src/events/hash.ts'

t.test('the hash is SHA-256 of the UTF-8 bytes in lower-case hex', async (t) => {
  // From sha256sum.
  t.equal(sha256Hex(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  t.equal(sha256Hex('us'), '79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621')
  t.equal(sha256Hex('josé'), 'd994e1d001886fe5b45b1267bd1fa2b752ac50742579bd3dad7b2a2aa0ed6866')
})
