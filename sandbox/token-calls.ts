/**
 * The endpoints for tokens and scores, from the first byte to the last: plays the fault that is on demand for the request,
 * notes it (never a token), answers.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

import { answerError } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Endpoint, Faults } from './faults.ts'
import { readInstead } from './instead.ts'
import { readBearer } from './read-call.ts'
import { readBody, reset, send, sendEarly } from './wire.ts'

export interface TokenRequest {
  readonly atMs: number
  readonly endpoint: Endpoint
  /** Of the answer; undefined when there was none. */
  readonly status: number | undefined
  /** Whether what was asked for was done, whatever was answered. */
  readonly isDone: boolean
}

export interface TokenCalls {
  /** `act` does what is asked for; `adAccountId` is `''` where the endpoint has none. */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    endpoint: Endpoint,
    adAccountId: string,
    act: (body: string) => Answer,
  ): Promise<void>
  /** The newest last. */
  requests(): readonly TokenRequest[]
}

export interface TokenCallOptions {
  readonly faults: Faults
  readonly now: () => number
  readonly signal: AbortSignal
}

const BODY_LIMIT_BYTES = 64 * 2 ** 10
const REQUESTS_KEPT = 1000

export function createTokenCalls({ faults, now, signal }: TokenCallOptions): TokenCalls {
  const requests: TokenRequest[] = []

  return {
    async handle(request, response, endpoint, adAccountId, act) {
      const atMs = now()
      const note = (status: number | undefined, isDone: boolean) => {
        requests.push({ atMs, endpoint, status, isDone })
        if (requests.length > REQUESTS_KEPT) requests.shift()
      }
      const about = { endpoint, adAccountId, isTest: false, events: [] }
      if (faults.pick({ ...about, moment: 'head' }).fault !== undefined) {
        note(undefined, false)
        return reset(request)
      }
      const body = await readBody(request, BODY_LIMIT_BYTES)
      if (body === 'aborted') return
      if (body === 'too_large') return sendEarly(request, response, answerError(413))
      const { delayMs, fault } = faults.pick({ ...about, moment: 'body' })
      const instead = readInstead(fault, readBearer(request))
      const isDone = instead?.isRecorded !== false
      const usual = isDone ? act(body.toString('utf8')) : undefined
      const answer = instead?.answer ?? usual!
      note(typeof answer === 'string' ? undefined : answer.status, isDone)

      if (delayMs > 0) await delay(delayMs, undefined, { signal })
      if (answer === 'hang') return
      if (answer === 'reset') return reset(request)
      send(response, answer)
    },
    requests: () => requests,
  }
}
