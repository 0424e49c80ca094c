/** What would be sent to Pinterest for the events of a body. Nothing is sent, stored or logged. */
import { explainEvent, explainPrepared, type ExplainedEvent } from '../../events/explain.ts'
import type { PrepareContext } from '../../events/prepare.ts'
import type { Webhook } from '../../sources/source.ts'
import { openBody, type OpenPost, type Webhooks } from './webhooks.ts'
import type { Work } from './work.ts'

export interface ExplainRequest extends Omit<PrepareContext, 'maxEventAgeMs'> {
  /** The body as a storefront posts it. */
  readonly payload: Uint8Array
  /** The source, where the body is a webhook of it; its signature is not checked. */
  readonly source?: string | undefined
  readonly webhook?: Webhook | undefined
}

/** Answers a JSON list with an entry for each event. Rejects with INVALID_REQUEST. */
export function createExplain(work: Work, webhooks: Pick<Webhooks, 'map'>, maxEventAgeMs: number) {
  return async ({ payload, source = '', webhook, ...given }: ExplainRequest) => {
    const context = { ...given, maxEventAgeMs }
    const open = webhook === undefined ? openBody : await webhooks.map(source, webhook, payload)
    // Treated as large: posts come first.
    return work.run(Infinity, () => explainAll(open, payload, context))
  }
}

function* explainAll(
  open: OpenPost,
  payload: Uint8Array,
  context: PrepareContext,
): Generator<void, { payload: Uint8Array }> {
  const { events, isTest, withheld } = yield* open({ payload, isTest: context.isTest })
  const parts: string[] = []
  const add = (one: ExplainedEvent) => parts.push(JSON.stringify({ index: parts.length, ...one }))
  if (withheld !== undefined) add(explainPrepared(withheld))
  for (const event of events()) {
    add(explainEvent(event, { ...context, isTest }))
    yield
  }
  return { payload: Buffer.from(`[${parts.join(',')}]`) }
}
