/** Events: found by an id, followed as they come and change, each with its way and what the relay had to say of it. */
import { factList, fill, filterChoice, filterField, filterQueue, h, keyedRows } from './dom.js'
import { textOf } from './dialogs.js'
import { count, time } from './format.js'
import { describeQueue } from './queues.js'
import { ask, follow } from './session.js'

const PAGE = 50
/** More rows than anybody reads make a page slow while events stream in. */
const MOST_SHOWN = 500

/**
 * @typedef {{
 *   ad_account_id: string, test: boolean, event_name: string | null, event_id: string | null, order_id: string | null,
 *   outcome: string, reason: string | null, warnings: string[], warnings_mean: string[], attempts: number,
 *   event_time: string | null, received_at: string, updated_at: string, source: string | null, key_id: string | null,
 *   call_id: string | null, history: { at: string, reason: string }[], queue: import('./queues.js').QueueState | null,
 * }} TrailEvent
 * @typedef {{ key: string, event: TrailEvent }} Shown
 */

/** @type {Record<string, string>} */
const STATES = {
  delivered: 'good',
  queued: 'waits',
  filtered: 'waits',
  duplicate: 'waits',
  erased: 'waits',
  rejected: 'bad',
  expired: 'waits',
  invalid: 'bad',
}
/** @type {Record<string, string>} */
const STEPS = {
  received: 'received',
  committed: 'committed: on disk',
  replayed: 'queued again from the dead letters',
  recovered: 'recovered from a quarantined store',
  called: 'sent to Pinterest',
}

/** @param {URLSearchParams} query @returns {import('./main.js').View} */
export function createEvents(query) {
  const field = (/** @type {string} */ name, /** @type {string} */ label, size = 14) =>
    filterField(name, label, query.get(name), size)
  const form = /** @type {HTMLFormElement} */ (
    h(
      'form.bar',
      {
        'aria-label': 'Find events',
        onsubmit(event) {
          event.preventDefault()
          void load()
        },
      },
      field('id', 'Event id or order id', 36),
      field('ad_account_id', 'Ad account', 20),
      field('event_name', 'Event name', 14),
      field('source', 'Source', 14),
      filterChoice('outcome', 'Outcome', query.get('outcome'), [
        ['', 'any'],
        ...Object.keys(STATES).map((name) => /** @type {const} */ ([name, name])),
      ]),
      filterQueue(query.get('test')),
      h('button.main', { type: 'submit' }, 'Find'),
    )
  )
  const followBox = /** @type {HTMLInputElement} */ (
    h('input', { id: 'events-follow', type: 'checkbox', onchange: () => void startFollowing() })
  )
  const list = h('div.dead_letters')
  const note = h('p.quiet', { role: 'status' })
  const more = h('button', { type: 'button', onclick: () => void loadMore() }, 'Show more')
  const element = h(
    'div',
    {},
    form,
    h('p', {}, followBox, ' ', h('label', { for: 'events-follow' }, 'Show events as they come and change')),
    note,
    list,
    more,
  )
  const show = keyedRows(list, (/** @type {Shown} */ { key }) => key, makeRow)

  /** @type {Shown[]} */
  let shown = []
  /** Of each question that is left to ask: by event id, by order id, or neither. @type {URLSearchParams[]} */
  let questions = []
  /** @type {object | undefined} */
  let loading
  /** @type {AbortController | undefined} */
  let following
  let lastKey = 0
  /** How long the trail goes back; 0: there is none. */
  let trailHours = 0

  /** One question each for the event id and the order id: nobody knows which one a person has. */
  function readQuestions() {
    const given = new FormData(form)
    const rest = [...given.keys()]
      .filter((name) => name !== 'id')
      .map((name) => [name, textOf(given, name)])
      .filter(([, text]) => text !== '')
    const id = textOf(given, 'id')
    const ids = id === '' ? [[]] : [[['event_id', id]], [['order_id', id]]]
    return ids.map((own) => new URLSearchParams([...rest, ...own]))
  }

  async function load() {
    shown = []
    loading = undefined
    questions = readQuestions()
    void startFollowing()
    await loadMore()
  }

  async function loadMore() {
    if (loading !== undefined) return
    const mine = (loading = {})
    try {
      const answers = await Promise.all(
        questions.map((question) => ask('GET', `/events?${question}&limit=${PAGE}`)),
      )
      if (loading !== mine) return
      const left = questions.flatMap((question, index) => {
        const cursor = answers[index].next_cursor
        if (cursor === null) return []
        const next = new URLSearchParams(question)
        next.set('cursor', cursor)
        return [next]
      })
      questions = left
      trailHours = answers[0].trail_hours
      for (const event of answers.flatMap(({ events }) => events)) put(event, false)
      render()
    } catch (error) {
      if (loading === mine) fill(note, /** @type {Error} */ (error).message)
    } finally {
      if (loading === mine) loading = undefined
    }
  }

  function render() {
    show(shown)
    more.hidden = questions.length === 0
    const found = `${count(shown.length)} ${shown.length === 1 ? 'event' : 'events'}`
    fill(
      note,
      questions.length > 0
        ? `The newest ${found}; there may be more.`
        : shown.length > 0
          ? `${found}. ${describeTrail(trailHours)}`
          : `No event. ${describeTrail(trailHours)} What looks like a person’s address is not kept as an id.`,
    )
  }

  /** @param {TrailEvent} event @param {boolean} isNew */
  function put(event, isNew) {
    const known = shown.find(({ event: one }) => isSame(one, event))
    if (known !== undefined) known.event = event
    else if (isNew) shown = [{ key: String(++lastKey), event }, ...shown].slice(0, MOST_SHOWN)
    else shown.push({ key: String(++lastKey), event })
  }

  async function startFollowing() {
    following?.abort()
    following = undefined
    if (!followBox.checked) return
    const mine = (following = new AbortController())
    const streams = readQuestions().map((question) =>
      follow(`/events/live?${question}`, mine.signal, (/** @type {TrailEvent} */ event) => {
        put(event, true)
        render()
      }),
    )
    try {
      await Promise.all(streams)
      if (!mine.signal.aborted) fill(note, 'The relay ended the stream: tick the box again.')
    } catch (error) {
      if (!mine.signal.aborted) fill(note, /** @type {Error} */ (error).message)
    }
    if (following === mine) followBox.checked = false
  }

  more.hidden = true
  void load()
  return {
    element,
    close() {
      loading = {}
      following?.abort()
    },
  }
}

/** @param {number} hours */
function describeTrail(hours) {
  if (hours === 0) return 'There is no event trail: TRAIL_HOURS is 0.'
  return `The trail goes back ${count(hours)} hours (TRAIL_HOURS), or less where it fills its part of the store.`
}

/** @param {TrailEvent} one @param {TrailEvent} other */
function isSame(one, other) {
  return (
    other.event_id !== null &&
    one.event_id === other.event_id &&
    one.event_name === other.event_name &&
    one.ad_account_id === other.ad_account_id &&
    one.test === other.test &&
    one.received_at === other.received_at &&
    (one.outcome === 'duplicate') === (other.outcome === 'duplicate')
  )
}

/** @param {Shown} first */
function makeRow(first) {
  const name = `${first.event.event_name ?? 'event'} ${first.event.event_id ?? 'without an id'}`
  const summary = h('summary')
  const body = h('div')
  const element = h('article.dead_letter', { 'aria-label': name }, h('details', {}, summary, body))
  let shown = ''
  return {
    element,
    /** @param {Shown} item */
    update({ event }) {
      const text = JSON.stringify(event)
      if (text === shown) return
      shown = text
      fill(summary, ...summaryOf(event))
      fill(body, ...bodyOf(event))
    },
  }
}

/** @param {TrailEvent} event */
function summaryOf(event) {
  return [
    h('b', {}, event.event_name ?? 'unknown name'),
    ' ',
    h('code', {}, event.event_id ?? 'no id'),
    ' ',
    event.order_id !== null && h('span', {}, `order ${event.order_id} `),
    h('span.state', { 'data-state': STATES[event.outcome] }, event.outcome),
    ' ',
    h('small', {}, `${event.ad_account_id}${event.test ? ', test' : ''}, ${time(event.received_at)}`),
  ]
}

/** @param {TrailEvent} event */
function bodyOf(event) {
  const isDead = event.outcome === 'rejected' || event.outcome === 'expired'
  const deadLetter = new URLSearchParams({
    ad_account_id: event.ad_account_id,
    event_id: event.event_id ?? '',
  })
  return [
    factList([
      [
        'Outcome',
        event.reason === null ? event.outcome : `${event.outcome}: ${event.reason.replaceAll('_', ' ')}`,
      ],
      ['Account', h('a', { href: `#/accounts?id=${event.ad_account_id}` }, event.ad_account_id)],
      event.source === null
        ? ['Relay key', event.key_id ?? '–']
        : ['Source', h('a', { href: '#/sources' }, event.source)],
      ['Event time', time(event.event_time)],
      ['Attempts', count(event.attempts)],
      ['Call', event.call_id ?? '–'],
      event.queue !== null && ['Queue now', `${event.queue.status}: ${describeQueue(event.queue)}`],
    ]),
    h(
      'ol',
      { 'aria-label': 'Way' },
      ...event.history.map(({ at, reason }) =>
        h('li', {}, `${time(at)}: `, STEPS[reason] ?? reason.replaceAll('_', ' ')),
      ),
    ),
    event.warnings.length > 0 &&
      h(
        'ul.warnings',
        { 'aria-label': 'Warnings' },
        ...event.warnings.map((code, index) =>
          h('li', {}, h('code', {}, code), ': ', event.warnings_mean[index]),
        ),
      ),
    isDead &&
      event.event_id !== null &&
      h('p', {}, h('a', { href: `#/dead-letters?${deadLetter}` }, 'Its dead letter')),
  ]
}
