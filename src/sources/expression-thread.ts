/** The thread of a custom source: evaluates its expression, one webhook after the other. */
import { parentPort } from 'node:worker_threads'
import { evaluate, findFault } from './expression.ts'
import type { Webhook } from './source.ts'

export type ExpressionRequest =
  | { readonly expression: string }
  | { readonly webhook: Pick<Webhook, 'options' | 'headers'>; readonly payload: Uint8Array }

const port = parentPort!
port.on('message', (request: ExpressionRequest) => {
  void answer(request)
})
port.postMessage('loaded')

async function answer(request: ExpressionRequest): Promise<void> {
  port.postMessage(
    'expression' in request
      ? findFault(request.expression)
      : await evaluate(request.webhook, request.payload),
  )
}
