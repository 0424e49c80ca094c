/** The ways in which Pinterest can fail, one of each kind, and what a relay makes of them. */
import type { FaultRule } from '../../sandbox/faults.ts'
import type { Stand } from '../support/relay.ts'

export const NEIGHBOUR = '999'

export interface Row {
  readonly name: string
  readonly rule: FaultRule
  /** What the log says of a call that was not taken. */
  readonly says?: string
}

/** The fault lasts until it is lifted: the post is answered, the queue waits. */
export interface LastingRow extends Row {
  readonly queue: string
  /** What ends a hold; without it the queue goes on by itself. */
  readonly mend?: (stand: Stand, account: string) => Promise<unknown>
  /** The longest that the queue may say it waits. */
  readonly longestS?: number
}

export const putToken = ({ admin }: Stand, account: string) =>
  admin('PUT', `/accounts/${account}`, { access_token: `pina_TOKEN_OF_${account}_NEW` })
const resume = ({ admin }: Stand, account: string) => admin('POST', `/accounts/${account}/resume`)
const verify = ({ admin }: Stand, account: string) => admin('POST', `/accounts/${account}/verify`)

const limited = (retryAfter?: string): FaultRule => ({
  kind: 'status',
  status: 429,
  ...(retryAfter === undefined ? {} : { headers: { 'Retry-After': retryAfter } }),
})
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toUTCString()
const html = '<html><body>Bearer {access_token}: try again later</body></html>'
const redirect = { location: `/v5/ad_accounts/${NEIGHBOUR}/events` }
/** Without Pinterest's code for an outage, which concerns all accounts. */
const broken = { code: 1, message: 'Something went wrong.' }

/** One of each kind; outcome.test.ts and retry.test.ts have every status and every spelling of Retry-After. */
export const lastingRows: readonly LastingRow[] = [
  {
    name: 'reset before the body',
    rule: { kind: 'reset', when: 'beforeBody' },
    queue: 'failing',
    says: 'reset',
  },
  {
    name: 'reset after the body',
    rule: { kind: 'reset', when: 'afterBody' },
    queue: 'failing',
    says: 'reset',
  },
  {
    name: 'HTML in a 200',
    rule: { kind: 'status', status: 200, body: html },
    queue: 'failing',
    says: 'retry',
  },
  {
    name: 'HTML in a 502',
    rule: { kind: 'status', status: 502, body: html },
    queue: 'failing',
    says: 'retry',
  },
  {
    name: '200 without results',
    rule: { kind: 'status', status: 200, body: {} },
    queue: 'failing',
    says: 'retry',
  },
  {
    name: '503 without code 4197',
    rule: { kind: 'status', status: 503, body: broken },
    queue: 'failing',
    says: 'retry',
  },
  {
    name: '307',
    rule: { kind: 'status', status: 307, headers: redirect },
    queue: 'wrong_address',
    mend: resume,
  },
  { name: '404', rule: { kind: 'status', status: 404 }, queue: 'wrong_address', mend: resume },
  {
    name: '401 that echoes the token',
    rule: { kind: 'status', status: 401, body: html },
    queue: 'unauthorized',
    mend: putToken,
  },
  { name: '403', rule: { kind: 'status', status: 403 }, queue: 'forbidden', mend: putToken },
  {
    name: '403, and the token works after all',
    rule: { kind: 'status', status: 403 },
    queue: 'forbidden',
    mend: verify,
  },
  { name: '429 with seconds', rule: limited('1'), queue: 'rate_limited', longestS: 1 },
  { name: '429 with a date', rule: limited(inSeconds(4)), queue: 'rate_limited', longestS: 4 },
  { name: '429 without Retry-After', rule: limited(), queue: 'rate_limited', longestS: 60 },
]

/** Pinterest records the call, and its answer is lost once: the post waits for the second call. */
export const lostAnswerRows: readonly Row[] = [
  { name: 'reset after recording', rule: { kind: 'reset', when: 'afterRecording' }, says: 'reset' },
  // To undici, an end before the content-length is reached is a closed socket.
  { name: 'truncated body', rule: { kind: 'truncated' }, says: 'reset' },
  { name: 'huge answer', rule: { kind: 'hugeAnswer', sizeBytes: 5 * 2 ** 20 }, says: 'too_large' },
  { name: 'a result too few', rule: { kind: 'wrongCount', difference: -1 }, says: 'retry' },
  { name: 'a result too many', rule: { kind: 'wrongCount', difference: 1 }, says: 'retry' },
  {
    name: '500 after recording',
    rule: { kind: 'status', status: 500, body: broken, isRecorded: true },
    says: 'retry',
  },
]

/** Pinterest refuses events: no queue waits. */
export const refusalRows: readonly (Row & { readonly refused: 1 | 2; readonly reason: string })[] = [
  {
    name: '422 with details, all refused',
    rule: { kind: 'failEvents' },
    refused: 2,
    reason: 'rejected_event',
  },
  {
    name: '422 with details, one refused',
    rule: { kind: 'failEvents', indexes: [1] },
    refused: 1,
    reason: 'rejected_event',
  },
  {
    name: '200 with a failed event',
    rule: { kind: 'failEvents', indexes: [1], status: 200 },
    refused: 1,
    reason: 'rejected_event',
  },
  {
    name: '422 without details',
    rule: { kind: 'status', status: 422, isTest: false },
    refused: 2,
    reason: 'refused_422',
  },
  {
    name: '400, and the canary is taken',
    rule: { kind: 'status', status: 400, isTest: false },
    refused: 2,
    reason: 'refused_400',
  },
]

export const believedRows: readonly Row[] = [
  { name: 'an hour', rule: limited('3600') },
  { name: 'a number of 40 digits', rule: limited('9'.repeat(40)) },
]

export const hangRow: LastingRow = { name: 'hang', rule: { kind: 'hang' }, queue: 'failing', says: 'timeout' }
export const lateAnswerRows: readonly Row[] = [
  { name: 'slow drip', rule: { kind: 'drip', chunkBytes: 1, intervalMs: 50 }, says: 'timeout' },
  { name: 'hang after recording', rule: { kind: 'hang', isRecorded: true }, says: 'timeout' },
]

/** Pinterest recorded the two events of the call, and says so, without a list. */
export const countedRow: Row = {
  name: '200 that only counts',
  rule: {
    kind: 'status',
    status: 200,
    body: { num_events_received: 2, num_events_processed: 2 },
    isRecorded: true,
  },
}

export const ROWS: readonly Row[] = [
  ...lastingRows,
  ...lostAnswerRows,
  ...refusalRows,
  ...believedRows,
  hangRow,
  countedRow,
  ...lateAnswerRows,
]
