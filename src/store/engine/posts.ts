/**
 * What the engine does with a post's body: parse, prepare each event, commit the good ones as one batch. The raw body ends
 * here: what leaves are the bytes that Pinterest will get, and for each event what the answer needs.
 */
import { ClockInDoubt, SenderLeft } from '../../errors.ts'
import { isForItsAge, renderWarnings } from '../../events/reasons.ts'
import { prepareEvent, type Prepared, type PrepareContext } from '../../events/prepare.ts'
import type { Webhook } from '../../sources/source.ts'
import { tallyEvents, type EventTally } from '../../telemetry/tally.ts'
import { dedupeKey } from '../core/sealed.ts'
import { joinInSteps } from '../payload.ts'
import type { QueueKey, Receipt, Store } from '../store.ts'
import type { PostTrail } from '../trail.ts'
import { createRecentCustomers, type RecentCustomers } from './recent-customers.ts'
import { openBody, type OpenPost, type Webhooks } from './webhooks.ts'
import type { Work } from './work.ts'

export interface Post extends QueueKey {
  /** The body as it came. */
  readonly payload: Uint8Array
  /** Chosen by the caller, for `withdraw`. */
  readonly postId: number
  readonly receivedAtMs: number
  /** Whether ages can be computed: see clock-watch.ts. */
  readonly isClockTrusted: boolean
  readonly account: Pick<PrepareContext, 'accountCountry' | 'dobFormat' | 'bots' | 'eventNames'>
  /** The relay key that it came with; undefined for a source's. */
  readonly keyId?: string | undefined
  /** The source that it came by; undefined for a storefront with a relay key. */
  readonly source?: string | undefined
  /** How to check and read it; undefined for Pinterest's own form. */
  readonly webhook?: Webhook | undefined
}

/** What the answer contains of an event before Pinterest's result. */
export interface EventRemark {
  /** Position in the post. */
  readonly index: number
  readonly status: Prepared['status']
  /** A stable word: why it is invalid or filtered; undefined where it is neither. */
  readonly reason: string | undefined
  /** Why it is invalid; empty where it is not. */
  readonly error: string
  /** Joined; empty where there are none. */
  readonly warnings: string
}

export interface PostReceipt extends Receipt {
  /** Also where a webhook declares itself a test. */
  readonly isTest: boolean
  /** All events of the post. */
  readonly eventCount: number
  readonly invalidCount: number
  readonly filteredCount: number
  /** Ascending; most events have none. */
  readonly remarks: readonly EventRemark[]
  readonly tallies: readonly EventTally[]
  /** Milliseconds from the post's arrival in the engine until its events were prepared. */
  readonly prepareMs: number
}

export interface Posts {
  /**
   * Rejects with INVALID_REQUEST, UNAUTHORIZED, CLOCK_IN_DOUBT, SENDER_LEFT or STORE_UNAVAILABLE; nothing was counted then, and
   * nothing taken (but see `Store.commit`).
   */
  take(post: Post): Promise<PostReceipt>
  /** Its sender has disconnected and will retry: if it was not begun, it never is. */
  withdraw(postId: number): void
}

export interface PostsOptions {
  readonly store: Pick<Store, 'commit' | 'countInvalid'>
  readonly work: Work
  readonly webhooks: Webhooks
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly maxEventAgeMs: number
  readonly hasTrail: boolean
}

export function createPosts(options: PostsOptions): Posts {
  const { store, work, webhooks, now, hasTrail } = options
  /** Ids of posts that were not begun. */
  const waiting = new Set<number>()
  const recentCustomers = createRecentCustomers()

  function begin(post: Post, open: OpenPost) {
    if (!waiting.delete(post.postId)) throw new SenderLeft()
    return prepare(post, open, options)
  }

  async function prepareInTurn(post: Post): Promise<PreparedPost> {
    const open = post.webhook === undefined ? openBody : await webhooks.open(post, post.webhook)
    return work.run(post.payload.byteLength, () => begin(post, open))
  }

  async function commit(post: Post, preparedPost: PreparedPost): Promise<Receipt> {
    const { adAccountId, receivedAtMs } = post
    const { isTest, prepared, valid, keys, joined, filteredCount, invalidCount } = preparedPost
    const trail = hasTrail ? trailOf(post, prepared) : undefined
    if (invalidCount === prepared.length) {
      // Only a count: it shares the next commit, and the answer does not depend on it.
      void store.countInvalid({ adAccountId, isTest, invalidCount, trail }).catch(() => undefined)
      return NOTHING_COMMITTED
    }
    const counts = { filteredCount, invalidCount }
    return store.commit({
      adAccountId,
      isTest,
      payload: joined,
      events: valid,
      keys,
      ...counts,
      receivedAtMs,
      trail,
    })
  }

  return {
    async take(post) {
      const startedMs = now()
      waiting.add(post.postId)
      const preparedPost = await prepareInTurn(post).finally(() => waiting.delete(post.postId))
      const prepareMs = now() - startedMs
      const { isTest, filteredCount, invalidCount } = preparedPost
      // A wrong clock must not make an event invalid: the post comes again.
      if (!post.isClockTrusted && preparedPost.prepared.some(isInvalidForItsAge)) throw new ClockInDoubt()
      const receipt = await commit(post, preparedPost)
      const prepared = warnOfSharedIds(recentCustomers, post, preparedPost, receipt)
      return {
        ...receipt,
        isTest,
        eventCount: prepared.length,
        filteredCount,
        invalidCount,
        remarks: remarksOf(prepared),
        tallies: tallyEvents(prepared),
        prepareMs,
      }
    },
    withdraw: (postId) => void waiting.delete(postId),
  }
}

function* prepare(
  post: Post,
  open: OpenPost,
  { maxEventAgeMs, hasTrail }: Pick<PostsOptions, 'maxEventAgeMs' | 'hasTrail'>,
): Generator<void, PreparedPost> {
  const { receivedAtMs, adAccountId, account } = post
  const { events, isTest, withheld } = yield* open(post)
  const context = { ...account, nowMs: receivedAtMs, maxEventAgeMs, isTest, hasTrail }
  const prepared: Prepared[] = withheld === undefined ? [] : [withheld]
  for (const event of events()) {
    prepared.push(prepareEvent(event, context))
    yield
  }
  const valid = prepared.filter((event) => event.status === 'prepared')
  const filteredCount = prepared.filter(({ status }) => status === 'filtered').length
  // Not in the transaction, which others wait for: with 1,000 events it is a third of its time.
  const keys: Uint8Array[] = []
  for (const { eventName, eventId } of isTest ? [] : valid) {
    keys.push(dedupeKey(adAccountId, eventName, eventId))
    yield
  }
  return {
    isTest,
    prepared,
    valid,
    filteredCount,
    invalidCount: prepared.length - valid.length - filteredCount,
    keys,
    joined: yield* joinInSteps(valid.map(({ json }) => json)),
  }
}

interface PreparedPost {
  readonly isTest: boolean
  readonly prepared: readonly Prepared[]
  readonly valid: readonly Extract<Prepared, { status: 'prepared' }>[]
  readonly filteredCount: number
  readonly invalidCount: number
  readonly keys: readonly Uint8Array[]
  readonly joined: Uint8Array
}

const NOTHING_COMMITTED: Receipt = { batch: undefined, duplicates: [], pendingDuplicates: 0 }

/** Test events are never duplicates. */
function warnOfSharedIds(
  recentCustomers: RecentCustomers,
  { adAccountId }: Post,
  { isTest, prepared, valid }: PreparedPost,
  { duplicates }: Receipt,
): readonly Prepared[] {
  if (isTest) return prepared
  const repeated = new Set(duplicates)
  for (const [index, event] of valid.entries()) {
    if (!repeated.has(index)) recentCustomers.note(adAccountId, event)
  }
  const shared = new Set<Prepared>(
    duplicates
      .map((index) => valid[index]!)
      .filter((event) => recentCustomers.isOfAnother(adAccountId, event)),
  )
  if (shared.size === 0) return prepared
  const warning = { path: 'event_id', code: 'event_id_shared' } as const
  return prepared.map((event) =>
    shared.has(event) ? { ...event, warnings: [...event.warnings, warning] } : event,
  )
}

function isInvalidForItsAge(event: Prepared): boolean {
  return event.status === 'invalid' && isForItsAge(event.reason)
}

function trailOf({ receivedAtMs, keyId, source }: Post, prepared: readonly Prepared[]): PostTrail {
  const events = prepared.map((event) => ({
    eventName: event.eventName,
    // Without a spread, which takes as long as all the rest.
    eventId: event.trailIds.eventId,
    orderId: event.trailIds.orderId,
    eventTimeS: event.eventTimeS,
    status: event.status,
    reason: event.status === 'prepared' ? undefined : event.reason,
    warnings:
      event.warnings.length === 0 ? NO_WARNINGS : [...new Set(event.warnings.map(({ code }) => code))],
  }))
  return { receivedAtMs, keyId, source, events }
}

const NO_WARNINGS: readonly string[] = []

function remarksOf(prepared: readonly Prepared[]): EventRemark[] {
  const remarks: EventRemark[] = []
  for (const [index, event] of prepared.entries()) {
    const { status, warnings } = event
    if (status === 'prepared' && warnings.length === 0) continue
    const error = status === 'invalid' ? event.message : ''
    const reason = status === 'prepared' ? undefined : event.reason
    remarks.push({ index, status, reason, error, warnings: renderWarnings(warnings) })
  }
  return remarks
}
