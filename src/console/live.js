/** Live: whether posts are taken, the last half hour, and the queues with what mends them. */
import { cell, fill, h, keyedRows, row, setText, table } from './dom.js'
import { count, duration, rate, size, span, stateOf } from './format.js'
import { createPlot } from './plots.js'
import { poll } from './poll.js'
import { act } from './actions.js'
import { ask } from './session.js'

/** @typedef {{ level: number | null, capacity: number }} Bucket */
/**
 * @typedef {object} Queue
 * @property {string} ad_account_id
 * @property {string} label
 * @property {boolean} test
 * @property {string} status
 * @property {number} urgency
 * @property {string} means
 * @property {'resume' | 'token' | 'consent' | 'verify' | null} action
 * @property {number | null} next_try_in_seconds
 * @property {number} calls_in_flight
 * @property {number} queued
 * @property {number | null} oldest_age_seconds
 * @property {Bucket} call_limiter
 * @property {Bucket} post_limiter
 */
/** @typedef {Record<string, number | null> & { at: number }} Sample */

const LOOK_EVERY_MS = 2500
const SAMPLES_SHOWN = 360
/** As many steps of five seconds make up "now". */
const NOW_STEPS = 6

/** @returns {import('./main.js').View} */
export function createLive() {
  const banner = h('p.banner', { role: 'status' }, 'Looking…')
  const tiles = {
    posts: tile('Posts per second'),
    delivered: tile('Delivered events per second'),
    latency: tile('Answer time, 99 of 100'),
    queued: tile('Events waiting'),
    age: tile("Oldest event's age"),
    store: tile('Store'),
  }
  const perSecond = (/** @type {number | null | undefined} */ value) => rate(value ?? 0)
  const plots = {
    throughput: createPlot({
      title: 'Throughput, per second',
      lines: [
        { name: 'posts', color: '--one' },
        { name: 'calls', color: '--two', isDashed: true },
        { name: 'turned away', color: '--bad' },
      ],
      show: perSecond,
    }),
    outcomes: createPlot({
      title: 'Outcomes, events per second',
      lines: [
        { name: 'delivered', color: '--good' },
        { name: 'invalid', color: '--warn', isDashed: true },
        { name: 'rejected or expired', color: '--bad' },
        { name: 'duplicate', color: '--two', isDashed: true },
        { name: 'filtered', color: '--one', isDashed: true },
      ],
      show: perSecond,
    }),
    latency: createPlot({
      title: 'Latency',
      lines: [
        { name: 'post, half', color: '--one' },
        { name: 'post, 99 of 100', color: '--two' },
        { name: 'call, 99 of 100', color: '--warn', isDashed: true },
      ],
      show: duration,
    }),
    depth: createPlot({
      title: 'Queue depth, events waiting',
      lines: [{ name: 'waiting', color: '--one' }],
      show: count,
      isWhole: true,
    }),
  }
  const totals = h('dl.totals')
  const body = h('tbody')
  const queueNote = h('p.quiet')
  const showQueues = keyedRows(body, queueName, createQueueRow)
  const element = h(
    'div',
    {},
    banner,
    h('div.tiles', {}, ...Object.values(tiles).map((one) => one.element)),
    h('div.plots', {}, ...Object.values(plots).map((plot) => plot.element)),
    h(
      'section',
      { 'aria-labelledby': 'queues' },
      h('h2', { id: 'queues' }, 'Queues'),
      queueNote,
      table(
        'Queues',
        ['Account', 'Queue', 'State', 'Waiting', 'Oldest event', 'Calls left', 'Posts left', 'Action'],
        body,
      ),
    ),
    h('section', { 'aria-labelledby': 'totals' }, h('h2', { id: 'totals' }, 'Totals'), totals),
  )

  /** @type {Sample[]} */
  let samples = []

  async function look() {
    try {
      const since = samples.at(-1)?.at ?? 0
      const answer = await ask('GET', `/live?since=${since.toFixed(3)}`)
      // Asked again now: another look may have answered meanwhile, such as the one after an action.
      const newest = samples.at(-1)?.at ?? 0
      samples = [...samples, ...answer.samples.filter((/** @type {Sample} */ sample) => sample.at > newest)]
      samples = samples.slice(-SAMPLES_SHOWN)
      render(answer)
    } catch (error) {
      fill(banner, h('b.bad', {}, /** @type {Error} */ (error).message))
    }
  }

  /** @param {any} answer */
  function render(answer) {
    renderNotice(answer.problem_means, answer.queues_standing)
    const step = answer.step_seconds
    const now = samples.slice(-NOW_STEPS)
    const mean = (/** @type {string} */ name) =>
      now.length === 0 ? 0 : now.reduce((sum, sample) => sum + (sample[name] ?? 0), 0) / (now.length * step)
    tiles.posts.set(rate(mean('posts')))
    tiles.delivered.set(rate(mean('delivered')))
    tiles.latency.set(
      duration(now.findLast((sample) => sample['post_p99_seconds'] !== null)?.['post_p99_seconds']),
    )
    tiles.queued.set(count(answer.totals?.queued))
    const ages = answer.queues.map((/** @type {Queue} */ queue) => queue.oldest_age_seconds ?? 0)
    tiles.age.set(answer.totals?.queued ? span(Math.max(0, ...ages)) : '–')
    tiles.store.set(
      answer.store ? size(answer.store.used_bytes) : '–',
      answer.store && `${size(answer.store.disk_free_bytes)} free`,
    )

    const times = samples.map(({ at }) => at)
    const each = (/** @type {string} */ name) => samples.map((sample) => (sample[name] ?? 0) / step)
    const raw = (/** @type {string} */ name) => samples.map((sample) => sample[name] ?? null)
    plots.throughput.set(times, [each('posts'), each('calls'), each('turned_away')])
    plots.outcomes.set(times, [
      each('delivered'),
      each('invalid'),
      samples.map((sample) => ((sample['rejected'] ?? 0) + (sample['expired'] ?? 0)) / step),
      each('duplicate'),
      each('filtered'),
    ])
    plots.latency.set(times, [raw('post_p50_seconds'), raw('post_p99_seconds'), raw('call_p99_seconds')])
    plots.depth.set(times, [raw('queued')])

    setText(
      queueNote,
      answer.queue_count === 0
        ? 'No queue yet: a queue begins with the first post of an account.'
        : answer.queue_count > answer.queues.length
          ? `The ${answer.queues.length} that matter most of ${answer.queue_count}.`
          : 'Those that stand first, then those with the most events.',
    )
    showQueues(answer.queues)
    if (answer.totals) {
      fill(
        totals,
        ...Object.entries(answer.totals).map(([name, value]) =>
          h('div', {}, h('dt', {}, name), h('dd', {}, count(value))),
        ),
      )
    }
  }

  /** @param {string | null} problem @param {number} standing */
  function renderNotice(problem, standing) {
    const text = problem
      ? problem
      : standing > 0
        ? `Posts are taken. ${standing === 1 ? 'A queue stands and waits' : `${standing} queues stand and wait`} for a person: see below.`
        : 'Posts are taken, and every queue goes on by itself.'
    const name = problem ? 'bad' : standing > 0 ? 'warn' : 'good'
    if (banner.dataset['state'] === name && banner.textContent === text) return
    banner.dataset['state'] = name
    fill(banner, text)
  }

  const end = poll(LOOK_EVERY_MS, look)
  return {
    element,
    close() {
      end()
      for (const plot of Object.values(plots)) plot.close()
    },
  }

  /** @param {Queue} first */
  function createQueueRow(first) {
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
          h('small', {}, first.ad_account_id),
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
        state.dataset['state'] = stateOf(queue.urgency)
        setText(state, queue.status)
        const next = queue.next_try_in_seconds
        setText(
          means,
          queue.urgency === 0 ? '' : `${queue.means}${next === null ? '' : ` Tries again in ${span(next)}.`}`,
        )
        setText(waiting, count(queue.queued))
        setText(oldest, span(queue.oldest_age_seconds))
        callLimiter.set(queue.call_limiter)
        postLimiter.set(queue.post_limiter)
        if (queue.action === shownAction) return
        shownAction = queue.action
        fill(action, act(queue.ad_account_id, queue.action, look))
      },
    }
  }
}

/** @param {Queue} queue */
function queueName({ ad_account_id: id, test }) {
  return `${id}/${test}`
}

/** @param {string} name */
function tile(name) {
  const value = h('b', {}, '–')
  const more = h('small')
  return {
    element: h('div.tile', {}, h('span', {}, name), value, more),
    set(/** @type {string} */ text, /** @type {string} */ note = '') {
      setText(value, text)
      setText(more, note)
    },
  }
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
