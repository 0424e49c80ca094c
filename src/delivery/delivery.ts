/**
 * Delivery: the one driver of all lanes. It lets calls leave as slots, gates and the guard allow, and acts on what
 * Pinterest answers. The decisions are pure and live beside it (lane, gate, verdict, retry).
 *
 * Natural batching: a call leaves at once while its lane has a free slot; while all slots are busy, parcels gather and
 * leave together in the next one. So nothing waits when there is little to do, and calls grow when there is much.
 */
import TinyQueue from 'tinyqueue'
import type { Guard } from '../budget/guard.ts'
import { orAfter, type Clock } from '../clock.ts'
import { codeOf, placeOf, type Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { CallOutcome, Pinterest } from '../pinterest/outcome.ts'
import type { LaneKey, LeasedParcel, Store } from '../store/store.ts'
import type { PostTrace, Tracing } from '../tracing/tracing.ts'
import type { Vault } from '../vault/vault.ts'
import { createAct } from './act.ts'
import { callBody } from './call-body.ts'
import { expireEvents } from './expire.ts'
import { afterCall, learn, learnedOf, reopen, type CallResult, type LearnedGate } from './gate.ts'
import { nextTryAtMs, stateOf, type LaneState } from './lane-state.ts'
import { Lane } from './lane.ts'
import { noteFailure, parcelOf, type EventOutcome, type Piece } from './parcel.ts'
import { createOutage } from './outage.ts'
import { createPersist } from './persist.ts'
import { createRunning } from './running.ts'
import { reportCall, reportGate } from './report.ts'
import { backoffMs } from './retry.ts'
import { groupOf, membersOf, type Group } from './search.ts'
import { createSettling } from './settling.ts'
import { createStallSweep } from './stall-sweep.ts'
import { createSupply } from './supply.ts'
import type { TokenWatch } from './token-watch.ts'
import { judge, type Verdict } from './verdict.ts'
import { createWaits } from './waits.ts'

export interface DeliveryOptions {
  readonly store: Store
  readonly pinterest: Pinterest
  readonly guard: Guard
  readonly vault: Vault
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  readonly callsInFlight: number
  readonly callsInFlightTotal: number
  readonly maxEventAgeMs: number
  /** Whether ages can be believed: the wall clock was not set a short while ago. */
  readonly isClockTrusted: () => boolean
  readonly tokenWatch: TokenWatch
  /** Only a person's consent brings the account a new token. */
  readonly needsConsent: (adAccountId: string) => boolean
  readonly log: Log
  readonly metrics: Metrics
  readonly tracing: Tracing
  /** For other replicas: what a lane's gate is like from now on, or that of all lanes. */
  readonly onGate?: (lane: LaneKey | 'all', gate: LearnedGate) => void
}

export interface Delivery {
  /** Picks up what an earlier process left in the store. */
  start(): Promise<void>
  /**
   * Takes over a committed parcel with its lease. Resolves with what became of each event of it (in the stored order)
   * once all have a final verdict, or after `waitMs`, whichever is first; delivery goes on either way.
   */
  deliver(leased: LeasedParcel, waitMs: number, trace?: PostTrace): Promise<readonly EventOutcome[]>
  /** More of the lane waits in the store than before, and not because of `deliver`. */
  wake(lane: LaneKey): void
  /** An account was registered, rotated, paused, resumed or removed. */
  goOn(adAccountId: string): void
  /** Another replica learned this of a lane, or of Pinterest as a whole. */
  learn(lane: LaneKey | 'all', gate: LearnedGate): void
  /** What is leased is not this process's any more: it is in other hands, and must not be sent. Posts get their 202. */
  letGoOfAll(): void
  /** Of one account, or all. */
  lanes(adAccountId?: string): readonly LaneState[]
  callsInFlight(): number
  /** The store has not written a verdict for long: no post should be taken. */
  isStuck(): boolean
  /** No call leaves from now on; resolves when those in flight have ended, or after `patienceMs`. */
  stop(patienceMs: number): Promise<void>
  /** Ends every post's wait with what is known, now and from now on. */
  endWaits(): void
  /** After `stop`, and once no call can be under way any more: writes the last verdicts. What waits stays in the store. */
  close(): Promise<void>
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { store, pinterest, guard, vault, clock, random, isClockTrusted, tokenWatch, log, metrics, tracing } =
    options
  const lanes = new Map<string, Lane>()
  const timers = new Map<Lane, () => void>()
  const scheduled = new TinyQueue<Lane>([], (a, b) => a.servedTurn - b.servedTurn)
  let turn = 0
  let callsInFlight = 0
  let isPumpDue = false
  let isStopped = false
  let isClosing = false

  /** Of calls that were not answered yet. */
  const underWay = new Set<Group>()
  const calls = createRunning()
  const running = createRunning()
  const waits = createWaits(clock)
  const persist = createPersist({ clock, log, isClosing: () => isClosing })
  const settling = createSettling({
    store,
    waits,
    running,
    persist,
    clock,
    metrics,
    log,
    onCaughtUp: pumpSoon,
  })
  const { settle } = settling
  const stallSweep = createStallSweep({
    clock,
    log,
    lanes: () => lanes.values(),
    laneOf,
    backlog: () => store.backlog(),
    isForgotten,
    ask: schedule,
    onStalled: () => metrics.queueStalled(),
  })
  const supply = createSupply({
    store,
    waits,
    running,
    persist,
    clock,
    log,
    isPaused,
    onChange: schedule,
    onLeased: (lane, batches) => stallSweep.leased(lane, batches),
  })
  const act = createAct({ supply, settle, clock, random })
  const outage = createOutage<Lane>({
    clock,
    random,
    log,
    onChange: schedule,
    onGate: (gate) => options.onGate?.('all', gate),
  })
  guard.onRefill((adAccountId) => {
    for (const kind of ['live', 'test']) {
      const lane = lanes.get(`${adAccountId}/${kind}`)
      if (lane) schedule(lane)
    }
  })

  function laneOf({ adAccountId, isTest }: LaneKey): Lane {
    const name = `${adAccountId}/${isTest ? 'test' : 'live'}`
    let lane = lanes.get(name)
    if (!lane) {
      lane = new Lane({ adAccountId, isTest })
      lanes.set(name, lane)
    }
    return lane
  }

  function wake(key: LaneKey): void {
    const lane = laneOf(key)
    lane.hasMoreInStore = true
    schedule(lane)
  }

  // -- who may call next ------------------------------------------------------------------------------------------

  function schedule(lane: Lane): void {
    if (!lane.isScheduled) {
      lane.isScheduled = true
      scheduled.push(lane)
    }
    pumpSoon()
  }

  function isPumpHeldUp(): boolean {
    return isPumpDue || callsInFlight >= options.callsInFlightTotal || settling.isBehind()
  }

  /** Nothing forbids its calls for good, and no timer, call, lease or turn of it is to come. See stall-sweep.ts. */
  function isForgotten(lane: Lane): boolean {
    if (lane.isScheduled) return !isPumpHeldUp()
    const isAskedAgain =
      timers.has(lane) ||
      lane.callsInFlight > 0 ||
      lane.isLeasing ||
      supply.waitsForTurn(lane) ||
      outage.blocks(lane)
    return !isAskedAgain && !isPaused(lane)
  }

  /** After the microtasks of this turn: parcels that were committed together leave together. */
  function pumpSoon(): void {
    if (isPumpDue || isStopped) return
    isPumpDue = true
    setImmediate(pump)
  }

  /** One call for the lane that was served longest ago, and again: a long lane delays another by one call at most. */
  function pump(): void {
    isPumpDue = false
    while (callsInFlight < options.callsInFlightTotal && !isStopped && !settling.isBehind()) {
      const lane = scheduled.pop()
      if (!lane) return
      lane.isScheduled = false
      if (!tryCall(lane)) continue
      lane.servedTurn = ++turn
      schedule(lane)
    }
  }

  /** Lets one call of the lane leave if nothing forbids it; else sees to it that the lane is asked again in time. */
  function tryCall(lane: Lane): boolean {
    stallSweep.asked(lane)
    if (isPaused(lane)) {
      supply.parkIfStopped(lane)
      return false
    }
    // One moment for all that is compared: a pause that ends between two readings would refuse, and not be waited for.
    const nowMs = clock.monotonicMs()
    supply.refill(lane, nowMs)
    if (!lane.mayCall(nowMs, options.callsInFlight)) {
      const changeMs = lane.nextChangeMs(nowMs)
      if (changeMs !== undefined) wakeIn(lane, changeMs - nowMs)
      return false
    }
    if (!outage.passes(lane)) return false
    const { adAccountId } = lane.key
    const waitMs = guard.take(adAccountId)
    if (waitMs > 0) {
      lane.waitsForGuardSinceMs ??= nowMs
      wakeIn(lane, waitMs)
      return false
    }
    metrics.guardWaited((nowMs - (lane.waitsForGuardSinceMs ?? nowMs)) / 1000)
    lane.waitsForGuardSinceMs = undefined
    const taken = lane.takeCall(clock.wallMs())
    if (dropLost(lane, taken)) {
      guard.finished(adAccountId)
      return true
    }
    const pieces = withoutExpired(lane, taken.pieces)
    if (pieces.length > 0) calls.add(call(lane, { ...taken, pieces }))
    else {
      guard.finished(adAccountId)
      for (const piece of membersOf({ ...taken, pieces })) lane.add(piece)
    }
    return true
  }

  function isPaused({ key }: Lane): boolean {
    // Without its account a lane has no token; its events stay for when the account is registered again.
    return vault.account(key.adAccountId)?.isPaused !== false
  }

  function wakeIn(lane: Lane, delayMs: number): void {
    timers.get(lane)?.()
    const cancel = clock.after(Math.max(0, delayMs), () => {
      timers.delete(lane)
      schedule(lane)
    })
    timers.set(lane, cancel)
  }

  /** What was under way when the leases were lost, and came back to be tried again. */
  function dropLost(lane: Lane, group: Group): boolean {
    const members = membersOf(group)
    const lost = members.filter(({ parcel }) => parcel.isLost)
    if (lost.length === 0) return false
    supply.replace(lane, lost, [])
    for (const piece of members) if (!piece.parcel.isLost) lane.add(piece)
    return true
  }

  function withoutExpired(lane: Lane, pieces: readonly Piece[]): Piece[] {
    if (lane.key.isTest) return [...pieces]
    const oldestS = (clock.wallMs() - options.maxEventAgeMs) / 1000
    return pieces.flatMap((piece) => {
      if (piece.oldestEventTimeS >= oldestS || !isClockTrusted()) return [piece]
      const { expired, kept } = expireEvents(piece, oldestS)
      supply.replace(lane, [piece], kept ? [kept] : [])
      if (expired) {
        const errorMessage = 'The event grew too old before Pinterest took it.'
        const outcome: EventOutcome = { status: 'expired', errorMessage, warningMessage: '' }
        settle([{ piece: expired, outcomes: expired.positions.map(() => outcome) }], 'too_old')
      }
      return kept ? [kept] : []
    })
  }

  // -- one call ---------------------------------------------------------------------------------------------------

  /** Never rejects. */
  async function call(lane: Lane, group: Group): Promise<void> {
    const { pieces } = group
    const { adAccountId, isTest } = lane.key
    const token = vault.tokenOf(adAccountId) ?? ''
    const wasTrial = lane.gate.status === 'closed'
    const wasOutageTrial = outage.left()
    const eventCount = pieces.reduce((sum, { positions }) => sum + positions.length, 0)
    const startedMs = clock.monotonicMs()
    lane.callsInFlight += 1
    callsInFlight += 1
    const trace = tracing.beginCall({
      adAccountId,
      isTest,
      events: eventCount,
      posts: () => [...new Set(pieces.map(({ parcel }) => parcel.trace))],
    })
    underWay.add(group)
    const outcome = await pinterest.sendEvents({ adAccountId, isTest, token, body: callBody(pieces) })
    underWay.delete(group)
    lane.callsInFlight -= 1
    callsInFlight -= 1
    guard.finished(adAccountId)
    trace.end(
      outcome.kind === 'answered'
        ? { status: outcome.status, outcome: outcome.kind }
        : { status: undefined, outcome: outcome.reason },
    )

    const verdict = judge(outcome, eventCount, clock.wallMs())
    const durationMs = clock.monotonicMs() - startedMs
    reportCall(log, metrics, lane, { outcome, verdict, events: eventCount, durationMs })
    outage.ended(outcome, verdict, wasOutageTrial)
    tellTokenWatch(adAccountId, token, outcome)
    // A refusal of a token that was replaced meanwhile says nothing about the new one.
    const isOutdated = verdict.action === 'hold' && vault.tokenOf(adAccountId) !== token
    if (!isOutdated) moveGate(lane, verdict, wasTrial)
    try {
      act(lane, group, verdict, token)
    } catch (error) {
      putBack(lane, group, error)
    }
    supply.parkIfStopped(lane)
    schedule(lane)
  }

  function tellTokenWatch(adAccountId: string, token: string, outcome: CallOutcome): void {
    if (outcome.kind === 'unanswered') return
    const { status, code } = outcome
    if (status === 200 || status === 422) tokenWatch.accepted(adAccountId)
    if (status === 401 || status === 403) {
      // Not Pinterest's text: it may quote any of the call's events.
      const reason = code === undefined ? `status ${status}` : `status ${status}, code ${code}`
      tokenWatch.refused(adAccountId, { token, status, reason })
    }
  }

  /** What never should happen: rather a second delivery than a lost event, and rather a slow one than a loop. */
  function putBack(lane: Lane, group: Group, error: unknown): void {
    const { adAccountId, isTest } = lane.key
    const fields = { ad_account_id: adAccountId, is_test: isTest, code: codeOf(error), at: placeOf(error) }
    log.error(fields, 'a call could not be concluded')
    const pieces = membersOf(group).filter(({ parcel }) => parcel.pendingCount > 0)
    for (const piece of pieces) noteFailure(piece, { atMs: clock.wallMs(), reason: 'relay_failed' })
    const attempts = Math.max(0, ...pieces.map((piece) => piece.attempts))
    if (pieces.length > 0)
      lane.rest(groupOf(pieces), clock.monotonicMs() + backoffMs(attempts, random()), false)
  }

  function moveGate(lane: Lane, verdict: Verdict, wasTrial: boolean): void {
    const before = lane.gate
    lane.gate = afterCall(before, callResult(verdict), wasTrial, clock.monotonicMs(), random())
    if (wasTrial && lane.gate.status === 'open') lane.wakeAll()
    if (lane.gate !== before && (before.status === 'closed' || lane.gate.status === 'closed')) {
      options.onGate?.(lane.key, learnedOf(lane.gate, clock.monotonicMs()))
    }
    reportGate(log, lane, before, clock.monotonicMs())
  }

  /** No verdict can come within the wait: the post is answered at once, instead of holding a connection for nothing. */
  function isHopeless(lane: Lane, waitMs: number): boolean {
    if (isPaused(lane)) return true
    if (tokenWatch.isReplacing(lane.key.adAccountId)) return false
    return (nextTryAtMs(lane, outage.untilMs()) ?? 0) > clock.monotonicMs() + waitMs
  }

  return {
    async start() {
      for (const lane of await store.backlog()) wake(lane)
      stallSweep.start()
    },

    wake,

    async deliver(leased, waitMs, trace) {
      const lane = laneOf(leased)
      const { parcel, piece } = parcelOf(leased, trace)
      const done = waits.waitFor(parcel, isHopeless(lane, waitMs) ? 0 : waitMs)
      supply.take(lane, piece)
      schedule(lane)
      await done
      return parcel.outcomes
    },

    goOn(adAccountId) {
      for (const lane of lanes.values()) {
        if (lane.key.adAccountId !== adAccountId) continue
        lane.gate = reopen(lane.gate, clock.monotonicMs())
        schedule(lane)
      }
    },

    learn(key, learned) {
      if (key === 'all') {
        outage.learn(learned)
        return
      }
      const lane = laneOf(key)
      const nowMs = clock.monotonicMs()
      const next = learn(lane.gate, learned, nowMs)
      if (next === lane.gate) return
      const before = lane.gate
      lane.gate = next
      if (next.status === 'open') lane.wakeAll()
      reportGate(log, lane, before, nowMs)
      supply.parkIfStopped(lane)
      schedule(lane)
    },

    letGoOfAll() {
      for (const { parcel } of [...underWay].flatMap(membersOf)) {
        parcel.isLost = true
        waits.done(parcel.parcelId)
      }
      for (const lane of lanes.values()) {
        supply.abandon(lane)
        lane.hasMoreInStore = true
        schedule(lane)
      }
    },

    lanes: (adAccountId) =>
      [...lanes.values()]
        .filter(({ key }) => adAccountId === undefined || key.adAccountId === adAccountId)
        .map((lane) =>
          stateOf(lane, {
            isPaused: isPaused(lane),
            needsConsent: options.needsConsent(lane.key.adAccountId),
            outageUntilMs: outage.untilMs(),
            nowMs: clock.monotonicMs(),
          }),
        ),

    callsInFlight: () => callsInFlight,

    isStuck: () => settling.isStuck(),

    async stop(patienceMs) {
      isStopped = true
      supply.stop()
      outage.close()
      stallSweep.close()
      for (const cancel of timers.values()) cancel()
      timers.clear()
      await orAfter(clock, patienceMs, calls.ended())
    },

    endWaits: () => waits.endAll(),

    async close() {
      isClosing = true
      await calls.ended()
      await running.ended()
    },
  }
}

function callResult(verdict: Verdict): CallResult {
  switch (verdict.action) {
    case 'settle':
    case 'split':
      return { kind: 'answered' }
    case 'retry':
      return { kind: 'failed' }
    case 'wait':
      return { kind: 'limited', delayMs: verdict.delayMs }
    case 'hold':
      return { kind: 'held', reason: verdict.reason }
  }
}
