/**
 * One request and its whole answer, within one deadline: a slow drip of an answer would pass timeouts that start anew
 * with each byte. Over undici's `dispatch`: its `request` makes a stream and listens to a signal for each answer, which
 * takes 38 µs per call instead of 23. Informational answers (1xx) are skipped, redirects are not followed.
 */
import type { Dispatcher } from 'undici'
import { headerOf } from './read-answer.ts'

export type Exchanged =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** The header as it came. */
      readonly retryAfter: string | undefined
      readonly text: string
    }
  | { readonly kind: 'timeout' | 'too_large' }
  | { readonly kind: 'failed'; readonly error: unknown }

export interface ExchangeLimits {
  readonly timeoutMs: number
  readonly answerBytes: number
}

/** Never rejects. The connection of an answer that is not read to its end is closed. */
export function exchange(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  { timeoutMs, answerBytes }: ExchangeLimits,
): Promise<Exchanged> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let controller: Dispatcher.DispatchController | undefined
    let status = 0
    let retryAfter: string | undefined
    let sizeBytes = 0
    let isOver = false
    const timer = setTimeout(() => giveUp('timeout'), timeoutMs)

    function end(exchanged: Exchanged): void {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      resolve(exchanged)
    }

    function giveUp(kind: 'timeout' | 'too_large'): void {
      end({ kind })
      controller?.abort(new Error(kind))
    }

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started
        // Its deadline passed before there was a connection for it.
        if (isOver) started.abort(new Error('timeout'))
      },
      onResponseStart(_controller, statusCode, headers) {
        if (statusCode < 200) return
        status = statusCode
        retryAfter = headerOf(headers['retry-after'])
      },
      onResponseData(_controller, chunk) {
        sizeBytes += chunk.length
        if (sizeBytes > answerBytes) giveUp('too_large')
        else chunks.push(chunk)
      },
      onResponseEnd() {
        const text = (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8')
        end({ kind: 'answered', status, retryAfter, text })
      },
      onResponseError: (_controller, error) => end({ kind: 'failed', error }),
    }
    try {
      dispatcher.dispatch({ ...request, headersTimeout: 0, bodyTimeout: 0 }, handler)
    } catch (error) {
      end({ kind: 'failed', error })
    }
  })
}
