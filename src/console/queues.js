/** The table of queues: each with its state, what waits, and what can be done. */
import { cell, fill, h, keyedRows, row, setText, table } from './dom.js'
import { count, span, stateOf, time } from './format.js'
import { act } from './actions.js'
import { createMore } from './more.js'

/** @typedef {{ level: number | null, capacity: number }} Bucket */
/**
 * @typedef {object} QueueState
 * @property {boolean} test
 * @property {string} status
 * @property {number} urgency
 * @property {string} means
 * @property {'retry' | 'resume' | 'token' | 'consent' | 'verify' | null} action
 * @property {number | null} next_try_in_seconds
 * @property {number} calls_in_flight
 * @property {{ count: number, since: string, last_at: string, reason: string } | null} failed_calls
 *
 * @typedef {object} QueueNumbers
 * @property {string} ad_account_id
 * @property {string} label
 * @property {number} queued
 * @property {number | null} oldest_age_seconds
 * @property {Bucket} call_limiter
 * @property {Bucket} post_limiter
 * @typedef {QueueState & QueueNumbers} Queue
 */

/** @param {() => Promise<void>} refresh after an action */
export function createQueues(refresh) {
  const body = h('tbody')
  const note = h('p.quiet')
  /** @type {readonly Queue[]} */
  let known = []
  const more = createMore('that matter most', () => show(more.take(known)))
  const show = keyedRows(body, queueName, (queue) => createQueueRow(queue, refresh))
  return {
    element: h(
      'section',
      { 'aria-labelledby': 'queues' },
      h('h2', { id: 'queues' }, 'Queues'),
      note,
      table(
        'Queues',
        ['Account', 'Queue', 'State', 'Waiting', 'Oldest event', 'Calls left', 'Posts left', 'Action'],
        body,
      ),
      more.element,
    ),
    /** @param {readonly Queue[]} queues @param {number} [all] undefined: one account's were asked for */
    set(queues, all = queues.length) {
      known = queues
      setText(
        note,
        all === 0
          ? 'No queue yet: a queue begins with the first post of an account.'
          : all > queues.length
            ? `The ${count(queues.length)} that matter most of ${count(all)}.`
            : 'Those that need a person first, then those with the most events.',
      )
      show(more.take(queues))
    },
  }
}

/** @param {Queue} first @param {() => Promise<void>} refresh */
function createQueueRow(first, refresh) {
  const state = h('span.state')
  const means = h('small')
  const waiting = h('span')
  const oldest = h('span')
  const callLimiter = gauge('calls left')
  const postLimiter = gauge('posts left')
  const action = h('span')
  /** @type {Queue['action']} */
  let shownAction = null
  const name = first.label === '' ? first.ad_account_id : first.label
  const element = row(
    cell(
      'Account',
      h(
        'div',
        {},
        h('a', { href: `#/accounts?id=${first.ad_account_id}` }, name),
        first.label !== '' && h('small', {}, first.ad_account_id),
      ),
    ),
    cell('Queue', first.test ? 'test' : 'live'),
    cell('State', h('div', {}, state, means)),
    cell('Waiting', waiting),
    cell('Oldest event', oldest),
    cell('Calls left', callLimiter.element),
    cell('Posts left', postLimiter.element),
    cell('Action', action),
  )
  return {
    element,
    /** @param {Queue} queue */
    update(queue) {
      const isAtLimit = queue.urgency === 0 && isNearlyEmpty(queue.post_limiter)
      state.dataset['state'] = isAtLimit ? 'waits' : stateOf(queue.urgency)
      setText(state, isAtLimit ? 'post limit reached' : queue.status)
      setText(
        means,
        isAtLimit
          ? 'Calls leave, but posts over the limit get 429.'
          : queue.urgency === 0
            ? ''
            : describeQueue(queue),
      )
      setText(waiting, count(queue.queued))
      setText(oldest, span(queue.oldest_age_seconds))
      callLimiter.set(queue.call_limiter)
      postLimiter.set(queue.post_limiter)
      if (queue.action === shownAction) return
      shownAction = queue.action
      fill(action, act(queue.ad_account_id, queue.action, refresh))
    },
  }
}

/** @param {QueueState} queue */
export function describeQueue({ means, next_try_in_seconds: next, failed_calls: failed }) {
  return [
    means,
    next !== null && `Tries again in ${span(next)}.`,
    failed !== null &&
      `Failed calls: ${count(failed.count)} since ${time(failed.since)}, the last: ${failed.reason.replaceAll('_', ' ')}.`,
  ]
    .filter(Boolean)
    .join(' ')
}

/** @param {Queue} queue */
function queueName({ ad_account_id: id, test }) {
  return `${id}/${test}`
}

/** Under so little a bucket is empty whenever posts come faster than it is refilled. @param {Bucket} bucket */
function isNearlyEmpty({ level, capacity }) {
  return capacity > 0 && level !== null && level <= capacity / 50
}

/** How full a bucket is. @param {string} what */
function gauge(what) {
  const meter = /** @type {HTMLMeterElement} */ (h('meter', { min: 0, max: 1, value: 1, 'aria-label': what }))
  const text = h('small')
  return {
    element: h('span.gauge', {}, meter, text),
    /** @param {Bucket} bucket */
    set({ level, capacity }) {
      meter.max = Math.max(capacity, 1)
      meter.low = capacity * 0.1
      meter.optimum = capacity
      // No bucket before the first use.
      meter.value = level ?? capacity
      meter.title = level === null ? 'not used yet' : `${count(level)} of ${count(capacity)} ${what}`
      setText(
        text,
        capacity === 0 ? 'no limit' : level === null ? '–' : `${count(level)} of ${count(capacity)}`,
      )
    },
  }
}
