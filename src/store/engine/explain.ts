/** What would be sent to Pinterest for the events of a body. Nothing is sent, stored or logged. */
import { readBody } from '../../events/body.ts'
import { explainEvent } from '../../events/explain.ts'
import type { PrepareContext } from '../../events/prepare.ts'
import type { Work } from './work.ts'

export interface ExplainRequest extends Omit<PrepareContext, 'maxEventAgeMs'> {
  /** The body as a storefront posts it. */
  readonly payload: Uint8Array
}

export interface ExplainOptions {
  readonly work: Work
  readonly maxEventAgeMs: number
}

/** Answers a JSON list with an entry for each event. Rejects with INVALID_REQUEST. */
export function createExplain({ work, maxEventAgeMs }: ExplainOptions) {
  return async ({ payload, ...given }: ExplainRequest) => {
    const body = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    const context = { ...given, maxEventAgeMs }
    // Treated as large: posts come first.
    return work.run(Infinity, () => explainAll(body, context))
  }
}

function* explainAll(body: Buffer, context: PrepareContext): Generator<void, { payload: Uint8Array }> {
  const { events } = yield* readBody(body)
  const parts: Buffer[] = []
  for (const event of events()) {
    const index = parts.length
    parts.push(
      Buffer.from(`${index === 0 ? '[' : ','}${JSON.stringify({ index, ...explainEvent(event, context) })}`),
    )
    yield
  }
  return { payload: Buffer.concat([...parts, Buffer.from(']')]) }
}
