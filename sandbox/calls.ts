/**
 * `POST /v5/ad_accounts/{id}/events`, from the first byte to the last: counts the call, plays the fault that is on
 * demand for it (`faults.ts` has the order), notes it in the journal, answers.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'

import type { Accounts } from './accounts.ts'
import { answerError } from './answer.ts'
import type { Fault, Faults } from './faults.ts'
import { readInstead } from './instead.ts'
import type { Journal, JournalEntry } from './journal.ts'
import type { ProcessCall } from './process-call.ts'
import { readBearer, readCallBody, readTest } from './read-call.ts'
import { readBody, reset, send, sendDripping, sendEarly, sendHuge, sendTruncated } from './wire.ts'

export interface CallOptions {
  readonly accounts: Accounts
  readonly faults: Faults
  readonly journal: Journal
  readonly processCall: ProcessCall
  readonly now: () => number
  readonly bodyLimitBytes: number
  /** Ends delays and answers that are still being sent. */
  readonly signal: AbortSignal
  /** Called when a call is in the journal, before it is answered. */
  readonly onCall: () => void
}

export type HandleCall = (
  request: IncomingMessage,
  response: ServerResponse,
  adAccountId: string,
  query: string | undefined,
) => Promise<void>

export function createCallHandler(options: CallOptions): HandleCall {
  const { accounts, faults, journal, processCall, now, bodyLimitBytes, signal, onCall } = options
  let lastTurn = Promise.resolve()

  /** Pinterest has more than one thread: here, small calls go between the steps of large ones, each in a turn of the loop. */
  function turnOf(bytes: Buffer | 'too_large'): Promise<void> | undefined {
    const isLarge = Buffer.isBuffer(bytes) && bytes.byteLength >= LARGE_BYTES
    return !isLarge ? undefined : (lastTurn = lastTurn.then(() => nextTurn()))
  }

  return async (request, response, adAccountId, query) => {
    const isTest = readTest(query)
    if (!/^\d{1,18}$/.test(adAccountId)) {
      return sendEarly(request, response, answerError(400, `'${adAccountId}' does not match '^\\d+$'`))
    }
    if (isTest === undefined) {
      return sendEarly(request, response, answerError(400, "'test' is not of type 'boolean'"))
    }
    const atMs = now()
    accounts.countArrival(adAccountId, isTest, atMs)
    const accessToken = readBearer(request)

    function note(noted: Noted, body?: Buffer): void {
      const { status, fault, eventCount, recorded } = noted
      const entry: JournalEntry = {
        at: atMs,
        adAccountId,
        isTest: isTest === true,
        ...(status !== undefined && { status }),
        ...(fault !== undefined && { fault: fault.kind }),
        userAgent: request.headers['user-agent'] ?? '',
        tokenLast4: accessToken?.slice(-4) ?? '',
        ...(eventCount !== undefined && { eventCount }),
        recorded,
      }
      response.once('finish', () => {
        entry.answeredAt = now()
      })
      journal.add(entry, body)
      onCall()
    }

    const early = faults.pick({ adAccountId, isTest, moment: 'head', events: [] }).fault
    if (early !== undefined) {
      note({ fault: early, recorded: 0 })
      return reset(request)
    }
    const bytes = await readBody(request, bodyLimitBytes)
    if (bytes === 'aborted') return
    await turnOf(bytes)
    const body = readCallBody(request, bytes)
    await turnOf(bytes)
    const events = body.status === 'read' ? body.events : undefined
    const { delayMs, fault } = faults.pick({ adAccountId, isTest, moment: 'body', events: events ?? [] })

    const instead = readInstead(fault, accessToken)
    const usual = instead?.isRecorded === false ? undefined : { adAccountId, isTest, atMs, accessToken, body }
    const processed = usual && processCall(usual, fault)
    const answer = instead === undefined ? processed!.answer : instead.answer
    const status = typeof answer === 'string' ? undefined : answer.status
    const noted = { status, fault, eventCount: events?.length, recorded: processed?.recorded ?? 0 }
    note(noted, bytes === 'too_large' ? undefined : bytes)

    if (delayMs > 0) await delay(delayMs, undefined, { signal })
    if (answer === 'hang') return
    if (answer === 'reset') return reset(request)
    if (bytes === 'too_large') return sendEarly(request, response, answer)
    if (fault?.kind === 'truncated') return sendTruncated(response, answer, fault.missingBytes ?? 1)
    if (fault?.kind === 'drip') return sendDripping(response, answer, fault, signal)
    if (fault?.kind === 'hugeAnswer') return sendHuge(response, answer, fault.sizeBytes, signal)
    send(response, answer)
  }
}

/** Some milliseconds' work. */
const LARGE_BYTES = 64 * 1024

/** What the journal records of a call. */
interface Noted {
  /** Of the answer; undefined when there is none. */
  readonly status?: number | undefined
  readonly fault: Fault | undefined
  readonly eventCount?: number | undefined
  readonly recorded: number
}
