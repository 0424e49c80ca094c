/** Delivery before a store and a Pinterest that tests answer for by hand. */
import type { Test } from 'tap'
import { createDelivery, type Delivery } from '../../src/delivery/delivery.ts'
import type { EventOutcome } from '../../src/delivery/batch.ts'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'
import type { CallOutcome, EventsCall } from '../../src/pinterest/pinterest.ts'
import type {
  LeasedBatch,
  LeaseRequest,
  ReleasedBatch,
  Acknowledgement,
  Store,
} from '../../src/store/store.ts'
import type { Account, Vault } from '../../src/vault/vault.ts'
import { createManualClock, runDue, type ManualClock } from '../support/clock.ts'
import { joinEvents } from '../support/payload.ts'

export const ACCOUNT = '549755885175'

export interface SentCall {
  readonly call: EventsCall
  /** The event ids in the body, in order. */
  readonly ids: readonly string[]
  readonly isCanary: boolean
  answer(outcome: CallOutcome): Promise<void>
  /** 200, every event processed but those whose id is named. */
  deliver(failed?: readonly string[]): Promise<void>
}

export interface Stage {
  readonly clock: ManualClock
  readonly delivery: Delivery
  readonly calls: SentCall[]
  readonly acknowledged: Acknowledgement[]
  readonly released: ReleasedBatch[]
  /** What the store was asked to write, in this order: the operation and its batches. */
  readonly writes: (readonly ['acknowledge' | 'release', readonly number[]])[]
  readonly stored: LeasedBatch[]
  readonly paused: Set<string>
  readonly vault: { token: string }
  readonly trust: { isTrusted: boolean }
  /** Acknowledgements wait for `held`; those that come together with batch `refused` are refused. */
  readonly writing: { held: Promise<void> | undefined; refused: number | undefined }
  /** Leases wait for it. */
  readonly leasing: { held: Promise<void> | undefined }
  /** Leases that were asked for. */
  readonly asked: LeaseRequest[]
  /** Also among the calls. */
  readonly canaries: EventsCall[]
  /** Tokens that were given and given back; none is given while `waitMs` is above 0. */
  readonly limiter: { taken: number; finished: number; waitMs: number }
  /** What the token watch was told. */
  readonly news: string[]
  readonly lines: Record<string, unknown>[]
  readonly metrics: Metrics
  /** Hands a batch over, with one event per id; waits four seconds for its decisions, unless told otherwise. */
  post(
    batchId: number,
    ids: readonly string[],
    options?: Partial<LeasedBatch> & { readonly waitMs?: number },
  ): Promise<readonly EventOutcome[]>
}

export function batch(clock: ManualClock, batchId: number, ids: readonly string[]): LeasedBatch {
  const eventTimeS = Math.floor(clock.wallMs() / 1000)
  return {
    batchId,
    adAccountId: ACCOUNT,
    isTest: false,
    payload: joinEvents(ids.map((id) => JSON.stringify({ event_id: id, event_time: eventTimeS }))),
    eventCount: ids.length,
    acknowledged: [],
    oldestEventTimeS: eventTimeS,
    receivedAtMs: clock.wallMs(),
    attempts: 0,
    isReplay: false,
    history: [],
  }
}

export function setStage(
  t: Test,
  overrides: { callsInFlight?: number; callsInFlightTotal?: number } = {},
): Stage {
  const clock = createManualClock()
  const calls: SentCall[] = []
  const canaries: EventsCall[] = []
  const limiter: Stage['limiter'] = { taken: 0, finished: 0, waitMs: 0 }
  const news: string[] = []
  const lines: Record<string, unknown>[] = []
  const note = (fields: object, phrase: string) => void lines.push({ ...fields, phrase })
  const metrics = createMetrics({ version: 'test' })
  const acknowledged: Acknowledgement[] = []
  const released: ReleasedBatch[] = []
  const writes: Stage['writes'] = []
  const stored: LeasedBatch[] = []
  const paused = new Set<string>()
  const asked: LeaseRequest[] = []
  const handedOver = new Map<number, LeasedBatch>()
  const tokens = { token: 'pina_secret' }
  const trust = { isTrusted: true }
  const writing: Stage['writing'] = { held: undefined, refused: undefined }
  const leasing: Stage['leasing'] = { held: undefined }
  const store: Pick<Store, 'acknowledge' | 'release' | 'lease' | 'backlog'> = {
    acknowledge: async (acknowledgements) => {
      writes.push(['acknowledge', acknowledgements.map(({ batchId }) => batchId)])
      await writing.held
      if (
        acknowledgements.length > 1 &&
        acknowledgements.some(({ batchId }) => batchId === writing.refused)
      ) {
        throw new Error('a damaged batch')
      }
      acknowledged.push(...acknowledgements)
    },
    release: async (batches) => {
      writes.push(['release', batches.map(({ batchId }) => batchId)])
      released.push(...batches)
      for (const { batchId, attempts, history } of batches) {
        const leased = handedOver.get(batchId)
        if (leased) stored.push({ ...leased, attempts, history })
      }
    },
    lease: async (request) => {
      asked.push(request)
      const { adAccountId, isTest } = request
      const mine = stored.filter((other) => other.adAccountId === adAccountId && other.isTest === isTest)
      for (const leased of mine) {
        stored.splice(stored.indexOf(leased), 1)
        handedOver.set(leased.batchId, leased)
      }
      await leasing.held
      return mine
    },
    backlog: async () =>
      stored.map(({ adAccountId, isTest, oldestEventTimeS }) => {
        return { adAccountId, isTest, batches: 1, events: 1, oldestEventTimeS }
      }),
  }
  const vault: Pick<Vault, 'account' | 'tokenOf'> = {
    account: (adAccountId) => ({ adAccountId, isPaused: paused.has(adAccountId) }) as Account,
    tokenOf: () => tokens.token,
  }
  const delivery = createDelivery({
    store: store as Store,
    vault: vault as Vault,
    pinterest: {
      sendEvents: (call) =>
        new Promise((resolve) => {
          const { data } = JSON.parse(Buffer.from(call.body).toString()) as { data: { event_id: string }[] }
          const ids = data.map(({ event_id: id }) => id)
          const answer = (outcome: CallOutcome) => {
            resolve(outcome)
            return runDue()
          }
          const isCanary = ids.some((id) => id.startsWith('pinrelay-canary-'))
          if (isCanary) canaries.push(call)
          calls.push({
            call,
            ids,
            isCanary,
            answer,
            deliver: (failed = []) => answer(delivered(ids, failed)),
          })
        }),
      close: async () => {},
    },
    callLimiter: {
      take() {
        if (limiter.waitMs === 0) limiter.taken += 1
        return limiter.waitMs
      },
      finished: () => void limiter.finished++,
      level: () => undefined,
      onRefill() {},
    },
    clock,
    random: () => 0.5,
    tracing: undefined,
    callsInFlight: overrides.callsInFlight ?? 2,
    callsInFlightTotal: overrides.callsInFlightTotal ?? 64,
    maxEventAgeMs: 7 * 24 * 3_600_000,
    isClockTrusted: () => trust.isTrusted,
    tokenWatch: {
      accepted: () => void news.push('accepted'),
      refused: (_, { status }) => void news.push(`refused ${status}`),
      isReplacing: () => false,
    },
    log: { debug: note, info: note, warn: note, error: note },
    metrics,
  })
  t.teardown(async () => {
    const stopped = delivery.stop(0)
    await clock.advance(1)
    await stopped
    delivery.endWaiting()
    // As a closed connection would.
    for (const { answer } of calls) await answer({ kind: 'unanswered', reason: 'reset' })
    await delivery.close()
  })
  const post: Stage['post'] = (batchId, ids, { waitMs = 4000, ...options } = {}) => {
    const leased = { ...batch(clock, batchId, ids), ...options }
    handedOver.set(batchId, leased)
    return delivery.send(leased, waitMs)
  }
  return {
    clock,
    delivery,
    calls,
    acknowledged,
    released,
    writes,
    stored,
    paused,
    vault: tokens,
    trust,
    writing,
    leasing,
    asked,
    canaries,
    limiter,
    news,
    lines,
    metrics,
    post,
  }
}

export function idsOf(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `${name}-${n}`)
}

function delivered(ids: readonly string[], failed: readonly string[] = []): CallOutcome {
  const results = ids.map((id) => ({
    status: failed.includes(id) ? ('failed' as const) : ('processed' as const),
    errorMessage: failed.includes(id) ? 'no good' : '',
    warningMessage: '',
  }))
  return { ...refused(200), results }
}

export function refused(status: number, rest: { code?: number; retryAfter?: string } = {}) {
  return {
    kind: 'answered' as const,
    status,
    code: rest.code,
    message: 'because',
    retryAfter: rest.retryAfter,
    results: undefined,
    processedCount: undefined,
  }
}
