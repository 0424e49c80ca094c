/** The store's interface over the batcher: each method is one operation, or a few steps of one. */
import type { VaultStore } from '../../vault/vault-store.ts'
import { omitEvents } from '../payload.ts'
import type { DeadLetter, EventIdentity, LeasedBatch, NewBatch, Acknowledgement, Store } from '../store.ts'
import type { Batcher } from './batcher.ts'
import type {
  CommitRequest,
  ExpireStep,
  ResealPosition,
  ResealStep,
  DedupePosition,
  AcknowledgeRequest,
} from './operations.ts'

const FIRST_SEEN: DedupePosition = { table: 'blocks', afterId: 0 }
const START_POSITION: ResealPosition = { table: 0, afterId: 0 }

/** All but the size, which the engines read differently. */
export function createStore(batcher: Batcher, close: () => Promise<void>): Omit<Store, 'size'> {
  let resealFrom = START_POSITION

  return {
    async commit(batch) {
      const { batchId, ...rest } = await batcher.submit('commit', toRequest(batch))
      const leased = batchId === undefined ? undefined : leasedOf(batch, batchId, rest.duplicates)
      return { batch: leased, ...rest }
    },
    countInvalid: ({ adAccountId, isTest }, invalidCount) =>
      batcher.submit('countInvalid', { adAccountId, isTest, invalidCount }),
    acknowledge: (acknowledgements) => batcher.submit('acknowledge', toAcknowledgeRequest(acknowledgements)),
    lease: (request) => batcher.submit('lease', request),
    release: (batches) => batcher.submit('release', { batches }),
    backlog: () => batcher.submit('backlog', undefined),
    totals: (filter) => batcher.submit('totals', filter),
    async deadLetters({ limit, ...query }) {
      const deadLetters: DeadLetter[] = []
      let beforeId = query.beforeId ?? Number.MAX_SAFE_INTEGER
      while (deadLetters.length < limit) {
        const rest = { ...query, limit: limit - deadLetters.length, beforeId }
        const step = await batcher.submit('deadLetters', rest)
        deadLetters.push(...step.deadLetters)
        if (step.beforeId === undefined) break
        beforeId = step.beforeId
      }
      return deadLetters
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
    async trimDedupe(seenBeforeMs) {
      let after: DedupePosition | undefined = FIRST_SEEN
      while (after !== undefined) after = await batcher.submit('trimDedupe', { seenBeforeMs, after })
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
    async changeVault(decide) {
      // Nobody else has the file.
      const change = await decide(undefined)
      if (change.put.length + change.remove.length > 0) await batcher.submit('changeVault', change)
    },
    claim: () => Promise.resolve(true),
    unclaim: () => Promise.resolve(),
  }
}

function toRequest(batch: NewBatch): CommitRequest {
  const { adAccountId, isTest, payload, events, invalidCount, filteredCount, receivedAtMs } = batch
  return {
    adAccountId,
    isTest,
    payload,
    identities: isTest ? [] : identitiesOf(events),
    eventTimesS: events.map(({ eventTimeS }) => eventTimeS),
    invalidCount,
    filteredCount,
    receivedAtMs,
  }
}

/** Both engines store a batch without its duplicates, in this form. */
function leasedOf(batch: NewBatch, batchId: number, duplicates: readonly number[]): LeasedBatch {
  const { adAccountId, isTest, events, receivedAtMs } = batch
  const omitted = new Set(duplicates)
  return {
    adAccountId,
    isTest,
    batchId,
    payload: omitEvents(batch.payload, duplicates)!,
    eventCount: events.length - duplicates.length,
    acknowledged: [],
    oldestEventTimeS: events.reduce(
      (oldest, { eventTimeS }, index) => (omitted.has(index) ? oldest : Math.min(oldest, eventTimeS)),
      Infinity,
    ),
    receivedAtMs,
    attempts: 0,
    isReplay: false,
    history: [],
  }
}

function identitiesOf(events: readonly EventIdentity[]): string[] {
  const identities: string[] = []
  for (const { eventName, eventId } of events) identities.push(eventName, eventId)
  return identities
}

function toAcknowledgeRequest(acknowledgements: readonly Acknowledgement[]): AcknowledgeRequest {
  const whole = acknowledgements.filter(isWhole)
  return {
    wholeBatchIds: whole.map(({ batchId }) => batchId),
    acknowledgedAtMs: whole[0]?.acknowledgedAtMs ?? 0,
    others: whole.length === acknowledgements.length ? [] : acknowledgements.filter((one) => !isWhole(one)),
  }
}

function isWhole({ delivered, dead }: Acknowledgement): boolean {
  return delivered === 'rest' && dead.length === 0
}
