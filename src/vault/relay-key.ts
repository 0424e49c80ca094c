/**
 * Relay keys: what a storefront presents as its access token. 256 random bits behind a recognizable prefix, shown once
 * and stored as a SHA-256 (enough for a secret of that length: there is nothing to guess, so nothing to slow down).
 */
import { hash, randomBytes, randomUUID } from 'node:crypto'
import type { OpenRecords } from './open-records.ts'
import type { RelayKey } from './records.ts'

export interface RelayKeys {
  /** The key that this bearer value is, if it is one. */
  authenticate(relayKey: string): RelayKey | undefined
  /** Answers the key itself, this once. */
  createKey(key: { label: string; adAccountIds: readonly string[] }): Promise<RelayKey & { relayKey: string }>
  keys(): readonly RelayKey[]
  /** When this process was last posted to with the key; undefined: not since it started. */
  keyUsedAtMs(keyId: string): number | undefined
  deleteKey(keyId: string): Promise<boolean>
}

const PREFIX = 'prl_'

export function keepKeys({ change, state }: OpenRecords, now: () => number): RelayKeys {
  const usedAtMs = new Map<string, number>()
  return {
    // The look-up is by hash, so its timing tells nothing of a key.
    authenticate(relayKey) {
      const key = state().key.get(hashRelayKey(relayKey))
      if (key !== undefined) usedAtMs.set(key.keyId, now())
      return key
    },
    createKey: ({ label, adAccountIds }) =>
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
    keyUsedAtMs: (keyId) => usedAtMs.get(keyId),
    deleteKey: (keyId) =>
      change(() => {
        const [keyHash] = [...state().key].find(([, key]) => key.keyId === keyId) ?? []
        return keyHash === undefined ? [[], false] : [[['key', keyHash, undefined]], true]
      }),
  }
}

/** As text, which is made faster than a buffer of its own: this runs for every post. */
function hashRelayKey(relayKey: string): string {
  return hash('sha256', relayKey, 'hex')
}
