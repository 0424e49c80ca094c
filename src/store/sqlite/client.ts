/** The store's interface over the batcher: each method is one operation, or a few steps of one. */
import type { VaultStore } from '../../vault/vault-store.ts'
import type { DeadLetter, EventIdentity, NewParcel, Settlement, Store } from '../store.ts'
import type { Batcher } from './batcher.ts'
import type {
  CommitRequest,
  ExpireStep,
  ResealPosition,
  ResealStep,
  SeenPosition,
  SettleRequest,
} from './protocol.ts'

const FIRST_SEEN: SeenPosition = { table: 'blocks', afterId: 0 }
const START_POSITION: ResealPosition = { table: 0, afterId: 0 }

/** All but the size: how it is read differs. */
export function createStore(batcher: Batcher, close: () => Promise<void>): Omit<Store, 'size'> {
  let resealFrom = START_POSITION

  return {
    commit: (parcel) => batcher.submit('commit', toRequest(parcel)),
    countRefused: ({ adAccountId, isTest }, refusedCount) =>
      batcher.submit('countRefused', { adAccountId, isTest, refusedCount }),
    settle: (settlements) => batcher.submit('settle', toSettleRequest(settlements)),
    lease: (request) => batcher.submit('lease', request),
    release: (parcels) => batcher.submit('release', { parcels }),
    backlog: () => batcher.submit('backlog', undefined),
    books: (filter) => batcher.submit('books', filter),
    async deadLetters({ limit, ...query }) {
      const letters: DeadLetter[] = []
      let beforeId = query.beforeId ?? Number.MAX_SAFE_INTEGER
      while (letters.length < limit) {
        const rest = { ...query, limit: limit - letters.length, beforeId }
        const step = await batcher.submit('deadLetters', rest)
        letters.push(...step.letters)
        if (step.beforeId === undefined) break
        beforeId = step.beforeId
      }
      return letters
    },
    replay: (request) => batcher.submit('replay', request),
    purge: (request) => batcher.submit('purge', request),
    async expire(request) {
      let step: ExpireStep
      do step = await batcher.submit('expire', request)
      while (step.expired === 0 && step.hasMore)
      return step.expired
    },
    trimDeadLetters: (request) => batcher.submit('trimDeadLetters', request),
    addAudit: (entry) => batcher.submit('addAudit', entry),
    auditTrail: (query) => batcher.submit('auditTrail', query),
    async forgetSeen(seenBeforeMs) {
      let after: SeenPosition | undefined = FIRST_SEEN
      while (after !== undefined) after = await batcher.submit('forgetSeen', { seenBeforeMs, after })
    },
    async reseal(limit) {
      let step: ResealStep
      do {
        step = await batcher.submit('reseal', { limit, position: resealFrom })
        resealFrom = step.position ?? START_POSITION
      } while (step.resealed === 0 && step.position !== undefined)
      return step.resealed
    },
    close,
  }
}

export function createVaultStore(batcher: Batcher): VaultStore {
  return {
    readVault: () => batcher.submit('readVault', undefined),
    changeVault: (change) => batcher.submit('changeVault', change),
    putKey: (row) => batcher.submit('putKey', row),
    deleteKey: (keyId) => batcher.submit('deleteKey', { keyId }),
    // Nobody else has the file.
    exclusively: (work) => work(undefined),
    claim: () => Promise.resolve(true),
    unclaim: () => Promise.resolve(),
  }
}

function toRequest(parcel: NewParcel): CommitRequest {
  const { adAccountId, isTest, payload, events, refusedCount, receivedAtMs } = parcel
  return {
    adAccountId,
    isTest,
    payload,
    identities: isTest ? [] : identitiesOf(events),
    eventTimesS: events.map(({ eventTimeS }) => eventTimeS),
    refusedCount,
    receivedAtMs,
  }
}

function identitiesOf(events: readonly EventIdentity[]): string[] {
  const identities: string[] = []
  for (const { eventName, eventId } of events) identities.push(eventName, eventId)
  return identities
}

function toSettleRequest(settlements: readonly Settlement[]): SettleRequest {
  const whole = settlements.filter(isWhole)
  return {
    wholeParcelIds: whole.map(({ parcelId }) => parcelId),
    settledAtMs: whole[0]?.settledAtMs ?? 0,
    others: whole.length === settlements.length ? [] : settlements.filter((one) => !isWhole(one)),
  }
}

function isWhole({ delivered, dead }: Settlement): boolean {
  return delivered === 'rest' && dead.length === 0
}
