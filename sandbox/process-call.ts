/**
 * What Pinterest does with a call that it could read: who sends it, whether there is room for it, what is in it; and
 * the conversions that it records. The faults that change results rather than bytes work here.
 */
import type { Accounts } from './accounts.ts'
import { answerError, answerResults } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Conversions } from './conversions.ts'
import { selectEvents } from './faults.ts'
import type { Fault } from './faults.ts'
import { CLEAN, failed, judgeCall } from './judge.ts'
import type { EventResult } from './judge.ts'
import type { Quality } from './quality.ts'
import type { CallBody } from './read-call.ts'
import type { PinterestEvent } from './schema.ts'
import type { Tokens } from './tokens.ts'

export interface Call {
  readonly atMs: number
  readonly adAccountId: string
  readonly isTest: boolean
  readonly accessToken: string | undefined
  readonly body: CallBody
}

export interface Processed {
  readonly answer: Answer
  /** Conversions that were recorded. */
  readonly recorded: number
}

export type ProcessCall = (call: Call, fault: Fault | undefined) => Processed

export interface ProcessOptions {
  readonly tokens: Tokens
  readonly accounts: Accounts
  readonly conversions: Conversions
  readonly quality: Quality
}

export function createProcess(options: ProcessOptions): ProcessCall {
  const { tokens, accounts, conversions, quality } = options

  function record(
    { adAccountId, isTest }: Call,
    events: readonly PinterestEvent[],
    results: readonly EventResult[] | undefined,
  ): number {
    let processed = 0
    for (const [index, event] of events.entries()) {
      if (results?.[index]?.status === 'failed') continue
      processed += 1
      if (isTest) continue
      conversions.record(adAccountId, event)
      quality.record(adAccountId, event)
    }
    accounts.countResults(adAccountId, processed, events.length - processed)
    return isTest ? 0 : processed
  }

  return (call, fault) => {
    const { adAccountId, atMs, accessToken, body } = call
    const check = tokens.check(accessToken, adAccountId, atMs)
    if (check !== 'allowed') return refuse(answerError(check === 'unknown' ? 401 : 403))
    const refused = accounts.admit(adAccountId, atMs)
    if (refused !== undefined) {
      const retryAfterS = Math.ceil(refused.retryAfterMs / 1000)
      return refuse(answerError(429, undefined, { 'retry-after': String(retryAfterS) }))
    }
    if (body.status === 'unreadable') return refuse(body.answer)
    const judgement = judgeCall(body.value)
    if (judgement.status === 'invalid') return refuse(answerError(400, judgement.message))
    const { events } = judgement
    const failing = fault?.kind === 'failEvents' ? fault : undefined
    const results =
      failing === undefined ? judgement.results : failSelected(failing, events, judgement.results)
    const recorded = record(call, events, results)
    const answer =
      fault?.kind === 'wrongCount'
        ? answerWrongCount(events.length, results, fault.difference)
        : answerResults(events.length, results, failing?.status)
    return { answer, recorded }
  }
}

function refuse(answer: Answer): Processed {
  return { answer, recorded: 0 }
}

function failSelected(
  fault: Extract<Fault, { kind: 'failEvents' }>,
  events: readonly PinterestEvent[],
  results: readonly EventResult[] | undefined,
): readonly EventResult[] {
  const changed = results === undefined ? events.map(() => CLEAN) : [...results]
  for (const index of selectEvents(fault, events))
    changed[index] = failed(fault.message ?? 'failed on demand')
  return changed
}

function answerWrongCount(
  count: number,
  results: readonly EventResult[] | undefined,
  difference: number,
): Answer {
  const length = Math.max(count + difference, 0)
  const wrong = Array.from({ length }, (_, index) => results?.[index] ?? CLEAN)
  return answerResults(count, wrong, 200)
}
