/** What a fault makes of a request's answer, for every endpoint. */
import { answerError } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Fault } from './faults.ts'

/** What happens in place of the usual answer, and whether what was asked for is done all the same. */
export interface Instead {
  readonly answer: Answer | 'hang' | 'reset'
  readonly isRecorded: boolean
}

export function readInstead(fault: Fault | undefined, accessToken: string | undefined): Instead | undefined {
  if (fault === undefined) return undefined
  switch (fault.kind) {
    case 'status':
      return { answer: answerStatus(fault, accessToken), isRecorded: fault.isRecorded ?? false }
    case 'hang':
      return { answer: 'hang', isRecorded: fault.isRecorded ?? false }
    case 'reset':
      return { answer: 'reset', isRecorded: fault.when === 'afterRecording' }
    case 'poison':
      return { answer: answerError(fault.status ?? 400), isRecorded: false }
    case 'firewall':
      return { answer: answerPage(fault.status ?? 403), isRecorded: false }
    case 'latency':
    case 'drip':
    case 'truncated':
    case 'failEvents':
    case 'wrongCount':
    case 'hugeAnswer':
      return undefined
  }
}

function answerStatus(fault: Extract<Fault, { kind: 'status' }>, accessToken = ''): Answer {
  const { status, body } = fault
  const headers = Object.fromEntries(
    Object.entries(fault.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  )
  if (body === undefined && status >= 400) return answerError(status, undefined, headers)
  if (body !== undefined && typeof body !== 'string') {
    return { status, body: Buffer.from(JSON.stringify(body)), headers }
  }
  return answerHtml(status, (body ?? '').replaceAll('{access_token}', accessToken), headers)
}

/** What a firewall in front of Pinterest says: no JSON, no reason. */
function answerPage(status: number): Answer {
  return answerHtml(status, `<html><head><title>${status}</title></head><body>Request blocked.</body></html>`)
}

function answerHtml(status: number, html: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    body: Buffer.from(html),
    headers: { 'content-type': 'text/html; charset=utf-8', ...headers },
  }
}
