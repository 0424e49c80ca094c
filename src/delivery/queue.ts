/**
 * A queue: the slices that wait for one (ad account, test or live), in the order in which they should leave.
 *
 * A slice is in one place at a time: `ready`, in a `group` (part of a call that was refused or failed, which must leave as
 * it is), `resting` until its next try, `asking` (refused, until the canary's answer), or in flight.
 *
 * The next call is the canary while a refusal or a third 429 asks for it, and while the queue is held. Any other call takes up to half a
 * call of what a post is waiting for, so that a backlog does not delay the shop's answer; then what is on time, closest to its
 * hour first; then what is late, oldest first; then more of what is waited for; then replays, oldest first.
 *
 * What has failed is called without these, in every other call while there are any, and in no trial then: so events that make
 * Pinterest fail hold up no others, until they fill the queue's memory (prefetch.ts). Of it groups go first, and of those the one
 * that failed least often.
 */
import type { CallReference } from '../store/trail.ts'
import TinyQueue from 'tinyqueue'
import { createSlots } from '../slots.ts'
import { ON_TIME_S, type QueueKey } from '../store/store.ts'
import type { Vault } from '../vault/vault.ts'
import { CLOSED, isHeld, type Breaker } from './breakers.ts'
import { hasFailed, type Slice } from './batch.ts'
import { groupOf, membersOf, staysOne, type Group } from './bisect.ts'
import { asksForLimit } from './canary.ts'
import type { Refusal } from './decision.ts'

/** Pinterest's bound on one call. */
export const EVENTS_PER_CALL = 1000
/** Pinterest names no bound on a body's size; a larger slice is sent alone. */
const BYTES_PER_CALL = 4 * 1024 * 1024

/** One call, from the moment it leaves until its answer. */
export interface CallInFlight {
  readonly reference: CallReference
  readonly queue: Queue
  readonly group: Group
  readonly token: string
  readonly eventCount: number
  /** It left while the breaker of its queue was open. */
  readonly isTrial: boolean
  /** It left while the breaker for all accounts was open. */
  readonly isTrialForAll: boolean
  /** The call is the canary, and these wait for its answer; undefined: a call with events. */
  readonly asking: readonly RefusedCall[] | undefined
  /** Never rejects. */
  ended?: Promise<void>
}

export interface RefusedCall {
  readonly call: CallInFlight
  readonly refusal: Refusal
}

/** An operator paused its account, or it is not registered (any more). */
export type Halt = 'paused' | 'no_account'

/** Without its account a queue has no token; its events stay for when the account is registered again, or grow too old. */
export function haltOf({ key }: Queue, vault: Pick<Vault, 'account'>): Halt | undefined {
  const account = vault.account(key.adAccountId)
  if (account === undefined) return 'no_account'
  return account.isPaused ? 'paused' : undefined
}

/** Those in the call, and those that wait for it. */
export function slicesOf({ group, asking = [] }: CallInFlight): readonly Slice[] {
  return [group, ...asking.map(({ call }) => call.group)].flatMap(membersOf)
}

/** Those in a row that Pinterest did not take. */
export interface FailedCalls {
  readonly count: number
  readonly sinceMs: number
  readonly lastAtMs: number
  /** Of the last one: `status_503`, `timeout`, `unreadable_answer`. */
  readonly reason: string
}

interface Resting {
  readonly group: Group
  readonly untilMs: number
}

/** Within one second, first come, first served. */
function byEventTime(a: Slice, b: Slice): number {
  return a.oldestEventTimeS - b.oldestEventTimeS || a.batch.batchId - b.batch.batchId
}

/** The least suspicious first. */
function byAttempts(a: Slice, b: Slice): number {
  return a.attempts - b.attempts || byEventTime(a, b)
}

function byArrival(a: Slice, b: Slice): number {
  return a.batch.batchId - b.batch.batchId
}

export class Queue {
  readonly key: QueueKey
  breaker: Breaker = CLOSED
  readonly calls = createSlots<CallInFlight>()
  /** Batches wait in the store that are not here. */
  hasMoreInStore = false
  isLeasing = false
  /** Monotonic: the store could not lease, and is not asked before. */
  leaseAgainMs = -Infinity
  callsSinceLease = 0
  /** The scheduler's: whether the queue has a turn to come, and the number of its last one. */
  isScheduled = false
  servedNumber = 0
  /** The scheduler's: of the timer that will ask it. */
  cancelTimer: (() => void) | undefined
  /** Monotonic: since when its next call waits for the call limiter; undefined: it does not. */
  waitsForCallLimiterSinceMs: number | undefined
  /** Of the slices here, those in flight included. */
  bytesInMemory = 0
  /** Of the slices that could leave now. */
  eventsReady = 0
  failedCalls: FailedCalls | undefined
  /** Calls that were answered 429 since the last canary. */
  limitedCalls = 0
  /** Monotonic: the canary was taken after such calls, so that a 429 until then is about a call's events. */
  doubtsLimitUntilMs = -Infinity
  /** The last call was a group's turn. */
  #wasGroupTurn = false
  #asking: RefusedCall[] = []
  #awaited = new TinyQueue<Slice>([], byArrival)
  #onTime = new TinyQueue<Slice>([], byEventTime)
  #late = new TinyQueue<Slice>([], byEventTime)
  #replays = new TinyQueue<Slice>([], byEventTime)
  #failed = new TinyQueue<Slice>([], byAttempts)
  #groups = new TinyQueue<Group>([], (a, b) => byAttempts(a.slices[0]!, b.slices[0]!))
  #resting = new TinyQueue<Resting>([], (a, b) => a.untilMs - b.untilMs)

  constructor(key: QueueKey) {
    this.key = key
  }

  add(slice: Slice): void {
    this.eventsReady += slice.positions.length
    this.#queueOf(slice).push(slice)
  }

  /** All of a group, each for itself. */
  addMembers(group: Group): void {
    for (const slice of membersOf(group)) this.add(slice)
  }

  /** What was in a call and has to be in another. */
  addGroup(group: Group): void {
    if (staysOne(group)) this.#groups.push(group)
    else this.addMembers(group)
  }

  /** Until the canary's answer. */
  ask(refused: RefusedCall): void {
    this.#asking.push(refused)
  }

  takeAsking(): readonly RefusedCall[] {
    return this.#asking.splice(0)
  }

  get isAsking(): boolean {
    return this.#asking.length > 0
  }

  /** The next call is the canary. */
  get needsCanary(): boolean {
    return this.isAsking || isHeld(this.breaker) || asksForLimit(this)
  }

  get isCanaryOut(): boolean {
    for (const { asking } of this.calls) if (asking) return true
    return false
  }

  /** Until its next try. */
  rest(group: Group, untilMs: number): void {
    this.#resting.push({ group, untilMs })
  }

  /** What has rested until `nowMs` may leave again; `Infinity`: all, once calls succeed again. */
  endRests(nowMs: number): void {
    while (this.#resting.length > 0 && this.restsUntilMs <= nowMs) this.addGroup(this.#resting.pop()!.group)
  }

  /** Monotonic: when the first rest ends; Infinity: nothing rests. */
  get restsUntilMs(): number {
    return this.#resting.peek()?.untilMs ?? Infinity
  }

  get hasReady(): boolean {
    return this.#groups.length > 0 || this.eventsReady > 0
  }

  /** More events would not make the next call larger. */
  get fillsCall(): boolean {
    return this.#groups.length > 0 || this.eventsReady >= EVENTS_PER_CALL
  }

  /** Whether anything waits for a call, here or in the store. What is in flight is not counted. */
  get hasWork(): boolean {
    return this.hasReady || this.isAsking || this.#resting.length > 0 || this.hasMoreInStore
  }

  /** Takes out what leaves with the next call: at most 1,000 events, never none. Asks for `hasReady`. `isTrial`: of any breaker. */
  takeCall(wallMs: number, isTrial: boolean): Group {
    this.callsSinceLease += 1
    this.#sortOut(wallMs)
    const orders = [this.#onTime, this.#late, this.#awaited, this.#replays]
    const hasFresh = orders.some(({ length }) => length > 0)
    const isGroupTurn = !hasFresh || !(isTrial || this.#wasGroupTurn)
    this.#wasGroupTurn = isGroupTurn
    const group = isGroupTurn ? this.#groups.pop() : undefined
    if (group) return group
    // A trial of more batches would fail for one of them.
    const limit = isTrial ? 1 : EVENTS_PER_CALL
    const slices: Slice[] = []
    let events = 0
    let bytes = 0
    const fill = (order: TinyQueue<Slice>, upTo: number) => {
      for (let slice = order.peek(); slice; slice = order.peek()) {
        const eventsWith = events + slice.positions.length
        const bytesWith = bytes + slice.payload.byteLength
        if (slices.length > 0 && (eventsWith > upTo || bytesWith > BYTES_PER_CALL)) return
        slices.push(order.pop()!)
        ;[events, bytes] = [eventsWith, bytesWith]
      }
    }
    if (isGroupTurn) fill(this.#failed, limit)
    if (slices.length === 0) {
      fill(this.#awaited, limit / 2)
      for (const order of orders) fill(order, limit)
    }
    this.eventsReady -= events
    return groupOf(slices)
  }

  /** Takes every waiting slice out. */
  drain(): Slice[] {
    const slices = this.takeAsking().flatMap(({ call }) => membersOf(call.group))
    while (this.#groups.length > 0) slices.push(...membersOf(this.#groups.pop()!))
    while (this.#resting.length > 0) slices.push(...membersOf(this.#resting.pop()!.group))
    for (const order of [this.#awaited, this.#onTime, this.#late, this.#replays, this.#failed]) {
      while (order.length > 0) slices.push(order.pop()!)
    }
    this.eventsReady = 0
    return slices
  }

  #queueOf(slice: Slice): TinyQueue<Slice> {
    const { batch } = slice
    if (hasFailed(slice)) return this.#failed
    if (batch.isReplay) return this.#replays
    return batch.endWait ? this.#awaited : this.#onTime
  }

  /** Moves events whose post no longer waits, and those that became late: each is at the head of its order. */
  #sortOut(wallMs: number): void {
    while (this.#awaited.length > 0 && !this.#awaited.peek()!.batch.endWait) {
      this.#onTime.push(this.#awaited.pop()!)
    }
    const edgeS = wallMs / 1000 - ON_TIME_S
    while ((this.#onTime.peek()?.oldestEventTimeS ?? Infinity) <= edgeS) this.#late.push(this.#onTime.pop()!)
  }
}

/** Every queue that this process knows. */
export class Queues {
  readonly #live = new Map<string, Queue>()
  readonly #test = new Map<string, Queue>()

  of({ adAccountId, isTest }: QueueKey): Queue {
    const queues = isTest ? this.#test : this.#live
    let queue = queues.get(adAccountId)
    if (!queue) queues.set(adAccountId, (queue = new Queue({ adAccountId, isTest })))
    return queue
  }

  /** Of one account, or all. */
  ofAccount(adAccountId?: string): readonly Queue[] {
    if (adAccountId === undefined) return [...this]
    return [this.#live, this.#test].flatMap((queues) => queues.get(adAccountId) ?? [])
  }

  *[Symbol.iterator](): Iterator<Queue> {
    yield* this.#live.values()
    yield* this.#test.values()
  }
}
