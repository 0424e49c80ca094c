/**
 * What the engine does with a webhook before its events are prepared like any others: check its signature, and map it. What
 * cannot be mapped is one invalid event, and what is not to be sent a filtered one: both are counted, and the shop gets a 2xx.
 */
import { InvalidRequest, Unauthorized } from '../../errors.ts'
import { findEvents, MOST_VALUES_OF_WEBHOOK, readBody } from '../../events/body.ts'
import { readKnown, type WithheldEvent } from '../../events/prepare.ts'
import { isObject } from '../../events/reading.ts'
import { mapWebhook } from '../../sources/map.ts'
import { isSigned } from '../../sources/signature.ts'
import { signatureOf, type Mapped, type Webhook } from '../../sources/source.ts'
import type { Expressions } from './expressions.ts'
import type { Post } from './posts.ts'
import type { Work } from './work.ts'

export interface OpenedPost {
  readonly events: () => Iterable<unknown>
  readonly isTest: boolean
  /** The invalid or filtered event of a webhook of which nothing is sent. */
  readonly withheld: WithheldEvent | undefined
}

/** Yields between steps of bounded work. Throws INVALID_REQUEST. */
export type OpenPost = (post: Pick<Post, 'payload' | 'isTest'>) => Generator<void, OpenedPost>

export type Webhooks = ReturnType<typeof createWebhooks>

export function* openBody({
  payload,
  isTest,
}: Pick<Post, 'payload' | 'isTest'>): Generator<void, OpenedPost> {
  const events = yield* readBody(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength))
  return { events, isTest, withheld: undefined }
}

export function createWebhooks(options: {
  readonly work: Work
  readonly expressions: Pick<Expressions, 'map'>
}) {
  const { work, expressions } = options

  /** Whatever its signature is. `sourceId`: whose thread evaluates an expression. */
  async function map(sourceId: string, webhook: Webhook, payload: Uint8Array): Promise<OpenPost> {
    const made =
      webhook.options.kind === 'custom' ? await expressions.map(sourceId, webhook, payload) : undefined
    return function* ({ isTest }) {
      if (made !== undefined && made.status !== 'mapped') return opened(made, isTest)
      try {
        if (made === undefined) {
          // Parsed in one step: nothing else runs meanwhile.
          yield* findEvents(payload, MOST_VALUES_OF_WEBHOOK)
          return opened(yield* mapWebhook(webhook, payload), isTest)
        }
        return yield* openBody({ payload: made.payload, isTest })
      } catch (error) {
        if (!(error instanceof InvalidRequest)) throw error
        return opened({ status: 'invalid', reason: 'mapping_failed', message: error.message }, isTest)
      }
    }
  }

  return {
    map,
    /** Rejects with UNAUTHORIZED where its signature is wrong. */
    async open(post: Post, webhook: Webhook): Promise<OpenPost> {
      await work.run(post.payload.byteLength, () => checkSignature(post, webhook))
      return map(post.source ?? '', webhook, post.payload)
    },
  }
}

/** Work of a single step. */
function* checkSignature(
  { payload, receivedAtMs }: Post,
  { options, secrets, headers }: Webhook,
): Generator<void, void> {
  const signed = { headers, body: payload }
  if (!isSigned(signatureOf(options), secrets, signed, receivedAtMs)) throw new Unauthorized()
  yield
}

function opened(mapped: Mapped, isTest: boolean): OpenedPost {
  if (mapped.status === 'mapped')
    return { events: () => mapped.events, isTest: isTest || mapped.isTest, withheld: undefined }
  return { events: () => [], isTest, withheld: withhold(mapped) }
}

function withhold(mapped: Exclude<Mapped, { status: 'mapped' }>): WithheldEvent {
  if (mapped.status === 'invalid') return { ...mapped, ...readKnown(undefined), path: '', warnings: [] }
  const { event, ...rest } = mapped
  const known = readKnown(isObject(event) ? { ...event, event_id: rest.eventId } : undefined)
  return { ...known, ...rest, warnings: [] }
}
