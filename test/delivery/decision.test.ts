import t from 'tap'
import { decide, type CallDecision } from '../../src/delivery/decision.ts'
import type { CallOutcome, EventResult } from '../../src/pinterest/pinterest.ts'

const NOW = Date.UTC(2026, 0, 15, 12)
const done: EventResult = { status: 'processed', errorMessage: '', warningMessage: '' }
const failed: EventResult = { status: 'failed', errorMessage: 'no', warningMessage: '' }

function answered(
  status: number,
  rest: Partial<Extract<CallOutcome, { kind: 'answered' }>> = {},
): CallOutcome {
  const blank = {
    code: undefined,
    message: '',
    retryAfter: undefined,
    results: undefined,
    processedCount: undefined,
  }
  return { kind: 'answered', status, ...blank, ...rest }
}

const rows: [string, CallOutcome, CallDecision][] = [
  [
    '200 with results',
    answered(200, { results: [done, failed] }),
    { action: 'acknowledge', results: [done, failed] },
  ],
  [
    '201 with results',
    answered(201, { results: [done, done] }),
    { action: 'acknowledge', results: [done, done] },
  ],
  [
    '422 with results',
    answered(422, { results: [failed, done] }),
    { action: 'acknowledge', results: [failed, done] },
  ],
  [
    '200 with too few results',
    answered(200, { results: [done] }),
    { action: 'retry', reason: 'unreadable_answer' },
  ],
  ['200 without results', answered(200), { action: 'retry', reason: 'unreadable_answer' }],
  [
    '200 without results that counts all as processed',
    answered(200, { processedCount: 2 }),
    { action: 'acknowledge', results: [done, done] },
  ],
  [
    '200 with too few results that does not',
    answered(200, { results: [done], processedCount: 1 }),
    { action: 'retry', reason: 'unreadable_answer' },
  ],
  [
    '422 without results, whatever it counts',
    answered(422, { processedCount: 2 }),
    { action: 'bisect', reason: 'refused_422', message: '' },
  ],
  [
    '422 with too many results',
    answered(422, { results: [done, done, done] }),
    { action: 'bisect', reason: 'refused_422', message: '' },
  ],
  [
    '422 without results',
    answered(422, { message: 'm' }),
    { action: 'bisect', reason: 'refused_422', message: 'm' },
  ],
  ['400', answered(400, { message: 'm' }), { action: 'bisect', reason: 'refused_400', message: 'm' }],
  [
    '400 with results is still the call refused',
    answered(400, { results: [done, done] }),
    { action: 'bisect', reason: 'refused_400', message: '' },
  ],
  ['413', answered(413), { action: 'bisect', reason: 'refused_413', message: '' }],
  ['429', answered(429), { action: 'pause', delayMs: undefined }],
  ['429 with seconds', answered(429, { retryAfter: '7' }), { action: 'pause', delayMs: 7000 }],
  [
    '429 with a date',
    answered(429, { retryAfter: 'Thu, 15 Jan 2026 12:00:30 GMT' }),
    { action: 'pause', delayMs: 30_000 },
  ],
  ['408', answered(408), { action: 'retry', reason: 'status_408', delayMs: undefined }],
  ['500', answered(500), { action: 'retry', reason: 'status_500', delayMs: undefined }],
  ['503', answered(503, { retryAfter: '7' }), { action: 'retry', reason: 'status_503', delayMs: 7000 }],
  ['a timeout', { kind: 'unanswered', reason: 'timeout' }, { action: 'retry', reason: 'timeout' }],
  ['a reset', { kind: 'unanswered', reason: 'reset' }, { action: 'retry', reason: 'reset' }],
]

/** Of which nobody but the canary can tell whether they are about an event or about the account. */
const REFUSALS = [301, 302, 307, 401, 402, 403, 404, 405, 406, 409, 410, 415, 418, 431, 451, 499]
for (const status of REFUSALS) {
  rows.push([
    `${status}`,
    answered(status, { message: 'm' }),
    { action: 'ask', reason: `refused_${status}`, message: 'm' },
  ])
}

for (const [name, outcome, decision] of rows) {
  t.test(`${name} means ${decision.action}`, async (t) => t.strictSame(decide(outcome, 2, NOW), decision))
}
