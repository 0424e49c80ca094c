/**
 * What the engine does with a post's body: parse, prepare each event, commit the good ones as one batch. The raw body ends
 * here: what leaves are the bytes that Pinterest will get, and for each event what the answer needs.
 */
import type { Clock } from '../../clock.ts'
import { ClockInDoubt, SenderLeft } from '../../errors.ts'
import { isForItsAge, renderWarnings } from '../../events/reasons.ts'
import {
  prepareEvent,
  type PrepareContext,
  type ValidEvent,
  type WithheldEvent,
} from '../../events/prepare.ts'
import type { Webhook } from '../../sources/source.ts'
import { tallyEvents, type EventTally } from '../../telemetry/tally.ts'
import { compressAtOnce, createCompressor, dedupeKey } from '../core/sealed.ts'
import { createJoin, freeBytes } from '../payload.ts'
import type { QueueKey, Receipt, Store } from '../store.ts'
import { createGathering } from './gathering.ts'
import { createRecentCustomers, type RecentCustomers } from './recent-customers.ts'
import { openBody, type OpenPost, type Webhooks } from './webhooks.ts'
import { LARGE_BYTES, type Work } from './work.ts'

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

/** An event without its JSON, which is in the batch's payload alone: a thousand texts would be most of what garbage collection copies. */
type JudgedEvent = ValidEvent | WithheldEvent

/** What the answer contains of an event before Pinterest's result. */
export interface EventRemark {
  /** Position in the post. */
  readonly index: number
  readonly status: JudgedEvent['status']
  /** A stable word: why it is invalid or filtered; undefined where it is neither. */
  readonly reason: string | undefined
  /** Why it is invalid; empty where it is not. */
  readonly error: string
  /** Joined; empty where there are none. */
  readonly warnings: string
}

export interface PostReceipt extends Receipt {
  /** The sender asked for a test, or its webhook declares itself one. */
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

export interface PostsOptions {
  readonly store: Pick<Store, 'commit'>
  readonly work: Work
  readonly webhooks: Webhooks
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly after: Clock['after']
  readonly maxEventAgeMs: number
}

/** Some six events: to set the compressor up takes as long as it saves PostgreSQL in storing fewer. SQLite takes as long either way. */
const COMPRESSED_FROM_BYTES = 8 * 1024

export function createPosts(options: PostsOptions) {
  const { store, work, webhooks, now } = options
  /** Ids of posts that were not begun. */
  const waiting = new Set<number>()
  const recentCustomers = createRecentCustomers()
  const gathering = createGathering(options.after)
  const compress = createCompressor()

  function begin(post: Post, open: OpenPost) {
    if (!waiting.delete(post.postId)) throw new SenderLeft()
    return prepare(post, open, options)
  }

  async function prepareInTurn(post: Post): Promise<PreparedPost> {
    const open = post.webhook === undefined ? openBody : await webhooks.open(post, post.webhook)
    const { byteLength } = post.payload
    const prepared = work.run(byteLength, () => begin(post, open))
    return byteLength < LARGE_BYTES ? prepared : gathering.expect(prepared)
  }

  async function commit(
    { adAccountId, receivedAtMs, keyId, source }: Post,
    { isTest, judged, payload, keys }: PreparedPost,
  ): Promise<Receipt> {
    const post = { adAccountId, isTest, receivedAtMs, keyId, source, events: judged }
    let compressed: Uint8Array | undefined
    if (payload.byteLength >= LARGE_BYTES) {
      // A transaction takes as long as its bytes, and small posts wait for it.
      compressed = await compress(payload)
      await gathering.join(payload.byteLength)
    } else if (payload.byteLength >= COMPRESSED_FROM_BYTES) compressed = compressAtOnce(payload)
    return store.commit({ ...post, payload, compressed, keys })
  }

  return {
    /**
     * Rejects with INVALID_REQUEST, UNAUTHORIZED, CLOCK_IN_DOUBT, SENDER_LEFT or STORE_UNAVAILABLE; nothing was counted then, and
     * nothing taken (but see `Store.commit`).
     */
    async take(post: Post): Promise<PostReceipt> {
      const startedMs = now()
      waiting.add(post.postId)
      const prepared = await prepareInTurn(post).finally(() => waiting.delete(post.postId))
      const prepareMs = now() - startedMs
      const { isTest, filteredCount, invalidCount } = prepared
      // A wrong clock must not make an event invalid: the sender retries the post.
      if (!post.isClockTrusted && prepared.judged.some(isInvalidForItsAge)) throw new ClockInDoubt()
      // Before the commit: a batch of which the front does not learn stays leased, and is not sent until a restart.
      const described = describe(prepared.judged)
      const receipt = await commit(post, prepared)
      const warned = warnOfSharedIds(recentCustomers, prepared, receipt)
      return {
        ...receipt,
        isTest,
        eventCount: prepared.judged.length,
        filteredCount,
        invalidCount,
        ...(warned === undefined ? described : describe(warned)),
        prepareMs,
      }
    },
    /** Its sender has disconnected and will retry: if it was not begun, it never is. */
    withdraw: (postId: number) => void waiting.delete(postId),
  }
}

/** Does all that takes time in proportion to the events, so that little is left for the transaction, which other posts wait for. */
function* prepare(post: Post, open: OpenPost, { maxEventAgeMs }: Pick<PostsOptions, 'maxEventAgeMs'>) {
  const { receivedAtMs, adAccountId, account } = post
  const { events, isTest, withheld } = yield* open(post)
  const context = { ...account, nowMs: receivedAtMs, maxEventAgeMs, isTest }
  const judged: JudgedEvent[] = []
  const valid: ValidEvent[] = []
  const keys: Uint8Array[] = []
  const join = createJoin(post.payload.byteLength)
  if (withheld !== undefined) judged.push(withheld)
  for (const event of events()) {
    const prepared = prepareEvent(event, context)
    if (prepared.status === 'prepared') {
      join.add(prepared.json)
      // Cleared, not left out of a copy, which would take 0.3 µs.
      prepared.json = ''
      valid.push(prepared)
      if (!isTest) keys.push(dedupeKey(adAccountId, prepared.eventName, prepared.eventId))
    }
    judged.push(prepared)
    yield
  }
  freeBytes(post.payload)
  return {
    isTest,
    judged,
    valid,
    filteredCount: judged.filter(({ status }) => status === 'filtered').length,
    invalidCount: judged.filter(({ status }) => status === 'invalid').length,
    keys,
    payload: join.bytes(),
  }
}

/** `judged`: all events, in the order of the post. */
type PreparedPost = ReturnType<typeof prepare> extends Generator<void, infer Result> ? Result : never

/** All events, those that share their id with another customer's warned of it; undefined where none does. */
function warnOfSharedIds(
  recentCustomers: RecentCustomers,
  { isTest, judged, valid, keys }: PreparedPost,
  { duplicates }: Receipt,
): readonly JudgedEvent[] | undefined {
  // Test events are never duplicates.
  if (isTest) return undefined
  let repeated = 0
  for (const [index, { customer }] of valid.entries()) {
    if (index === duplicates[repeated]) repeated += 1
    else recentCustomers.note(keys[index]!, customer)
  }
  if (duplicates.length === 0) return undefined
  const shared = new Set<JudgedEvent>(
    duplicates
      .filter((index) => recentCustomers.isOfAnother(keys[index]!, valid[index]!.customer))
      .map((index) => valid[index]!),
  )
  if (shared.size === 0) return undefined
  const warning = { path: 'event_id', code: 'event_id_shared' } as const
  return judged.map((event) =>
    shared.has(event) ? { ...event, warnings: [...event.warnings, warning] } : event,
  )
}

function isInvalidForItsAge(event: JudgedEvent): boolean {
  return event.status === 'invalid' && isForItsAge(event.reason)
}

function describe(judged: readonly JudgedEvent[]) {
  return { remarks: remarksOf(judged), tallies: tallyEvents(judged) }
}

function remarksOf(judged: readonly JudgedEvent[]): EventRemark[] {
  const remarks: EventRemark[] = []
  for (const [index, event] of judged.entries()) {
    const { status, warnings } = event
    if (status === 'prepared' && warnings.length === 0) continue
    const error = status === 'invalid' ? event.message : ''
    const reason = status === 'prepared' ? undefined : event.reason
    remarks.push({ index, status, reason, error, warnings: renderWarnings(warnings) })
  }
  return remarks
}
