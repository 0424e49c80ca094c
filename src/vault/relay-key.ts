/**
 * Relay keys: what a storefront presents as its access token. 256 random bits behind a recognizable prefix, shown once
 * and stored as a SHA-256 (enough for a secret of that length: there is nothing to guess, so nothing to slow down).
 */
import { hash, randomBytes, randomUUID } from 'node:crypto'
import type { OpenRecords } from './open-records.ts'
import type { RelayKey } from './records.ts'

const PREFIX = 'prl_'

export function keepKeys({ change, state }: OpenRecords, now: () => number) {
  const usedAtMs = new Map<string, number>()
  return {
    /** The key that this bearer value is, if it is one. The look-up is by hash, so its timing tells nothing of a key. */
    authenticate(relayKey: string): RelayKey | undefined {
      const key = state().key.get(hashRelayKey(relayKey))
      if (key !== undefined) usedAtMs.set(key.keyId, now())
      return key
    },
    /** Answers the key itself, this once. */
    createKey: ({ label, adAccountIds }: Pick<RelayKey, 'label' | 'adAccountIds'>) =>
      change(() => {
        const relayKey = PREFIX + randomBytes(32).toString('base64url')
        const key: RelayKey = {
          keyId: randomUUID(),
          // Of 256 bits it gives 24 away.
          prefix: relayKey.slice(0, PREFIX.length + 4),
          label,
          adAccountIds: [...new Set(adAccountIds)],
          createdAtMs: now(),
        }
        return [[['key', hashRelayKey(relayKey), key]], { ...key, relayKey }]
      }),
    keys: () =>
      [...state().key.values()].toSorted(
        (a, b) => a.createdAtMs - b.createdAtMs || (a.keyId < b.keyId ? -1 : 1),
      ),
    /** When this process was last posted to with the key; undefined: not since it started. */
    keyUsedAtMs: (keyId: string) => usedAtMs.get(keyId),
    deleteKey: (keyId: string) =>
      change<boolean>(() => {
        const [keyHash] = [...state().key].find(([, key]) => key.keyId === keyId) ?? []
        return keyHash === undefined ? [[], false] : [[['key', keyHash, undefined]], true]
      }),
  }
}

/** As text, which is made faster than a buffer of its own: this runs for every post. */
function hashRelayKey(relayKey: string): string {
  return hash('sha256', relayKey, 'hex')
}
