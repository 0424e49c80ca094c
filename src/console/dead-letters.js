/** Dead letters: filtered, looked into, replayed with progress, purged. What they hold is hashes and reasons. */
import { fill, h, speak } from './dom.js'
import { openForm, textOf } from './dialogs.js'
import { count, time } from './format.js'
import { ask } from './session.js'

const PAGE = 50
/** Dead letters that one request handles: the pace at which progress is told. */
const STEP = 200

/**
 * @typedef {{
 *   id: number, ad_account_id: string, is_test: boolean, event_name: string, event_id: string, status: string,
 *   reason: string, message: string, attempts: number, first_seen_at: string, died_at: string,
 *   history: { at: string, reason: string }[],
 * }} DeadLetter
 */

/** @param {URLSearchParams} query @returns {import('./main.js').View} */
export function createDeadLetters(query) {
  const filterField = (/** @type {string} */ name, /** @type {string} */ label, size = 14) =>
    h(
      'p.field',
      {},
      h('label', { for: `filter-${name}` }, label),
      h('input', { id: `filter-${name}`, name, size, value: query.get(name) ?? '' }),
    )
  const choice = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {[string, string][]} */ options,
  ) =>
    h(
      'p.field',
      {},
      h('label', { for: `filter-${name}` }, label),
      h(
        'select',
        { id: `filter-${name}`, name },
        ...options.map(([value, text]) => h('option', { value }, text)),
      ),
    )
  const form = /** @type {HTMLFormElement} */ (
    h(
      'form.bar',
      {
        'aria-label': 'Filter',
        onsubmit(event) {
          event.preventDefault()
          filter = readFilter()
          void load()
        },
      },
      filterField('ad_account_id', 'Ad account', 20),
      choice('status', 'Status', [
        ['', 'any'],
        ['rejected', 'rejected'],
        ['expired', 'expired'],
      ]),
      choice('test', 'Queue', [
        ['', 'both'],
        ['false', 'live'],
        ['true', 'test'],
      ]),
      filterField('reason', 'Reason'),
      filterField('event_name', 'Event name'),
      filterField('event_id', 'Event id'),
      filterField('order_id', 'Order id'),
      h('button', { type: 'submit' }, 'Filter'),
    )
  )
  const list = h('div.dead_letters')
  const note = h('p.quiet', { role: 'status' })
  const progress = h('div.progress', { role: 'status' })
  const more = h('button', { type: 'button', onclick: () => void loadMore() }, 'Show more')
  const replayButton = h('button.main', { type: 'button', onclick: () => void replay() })
  const purgeButton = h('button.danger', { type: 'button', onclick: openPurge })
  const element = h(
    'div',
    {},
    form,
    h('div.actions', {}, replayButton, purgeButton),
    progress,
    note,
    list,
    more,
  )

  /** @type {Set<number>} */
  const chosen = new Set()
  /** @type {string | null} */
  let cursor = null
  /** What the list is asked for: the form as it was sent, not as it stands. */
  let filter = readFilter()
  /** The page of dead letters that is under way; what comes of an older one is thrown away. @type {object | undefined} */
  let loading
  let isStopped = false
  let isClosed = false

  function readFilter() {
    const given = new FormData(form)
    const texts = [...given.keys()].map((name) => [name, textOf(given, name)])
    return Object.fromEntries(texts.filter(([, text]) => text !== ''))
  }

  async function load() {
    chosen.clear()
    nameButtons()
    fill(list)
    cursor = null
    loading = undefined
    await loadMore()
  }

  async function loadMore() {
    if (loading !== undefined) return
    const mine = (loading = {})
    try {
      const parameters = new URLSearchParams({
        ...filter,
        limit: String(PAGE),
        ...(cursor === null ? {} : { cursor }),
      })
      const answer = await ask('GET', `/dead-letters?${parameters}`)
      if (loading !== mine || isClosed) return
      list.append(...answer.dead_letters.map(showDeadLetter))
      cursor = answer.next_cursor
      more.hidden = cursor === null
      const shown = list.childElementCount
      fill(
        note,
        shown === 0
          ? 'No dead letter. Every event was delivered, or waits.'
          : cursor === null
            ? `${count(shown)} dead letters.`
            : `The newest ${count(shown)}; there are more.`,
      )
    } catch (error) {
      if (loading !== mine) return
      more.hidden = true
      fill(note, /** @type {Error} */ (error).message)
    } finally {
      if (loading === mine) loading = undefined
    }
  }

  /** @param {DeadLetter} deadLetter */
  function showDeadLetter(deadLetter) {
    const name = `${deadLetter.event_name} ${deadLetter.event_id}`
    const choose = h('input', {
      type: 'checkbox',
      'aria-label': `Choose ${name}`,
      onchange(event) {
        if (event.target.checked) chosen.add(deadLetter.id)
        else chosen.delete(deadLetter.id)
        nameButtons()
      },
    })
    return h(
      'article.dead_letter',
      { 'aria-label': name },
      choose,
      h(
        'details',
        {},
        h(
          'summary',
          {},
          h('b', {}, deadLetter.event_name),
          ' ',
          h('code', {}, deadLetter.event_id),
          ' ',
          h(
            'span.state',
            { 'data-state': deadLetter.status === 'expired' ? 'waits' : 'stands' },
            deadLetter.reason,
          ),
          ' ',
          h(
            'small',
            {},
            `${deadLetter.ad_account_id}${deadLetter.is_test ? ', test' : ''}, ${time(deadLetter.died_at)}`,
          ),
        ),
        h('p', {}, deadLetter.message || 'Pinterest gave no reason.'),
        h(
          'dl',
          {},
          ...[
            ['Status', deadLetter.status],
            ['Attempts', count(deadLetter.attempts)],
            ['First seen', time(deadLetter.first_seen_at)],
            ['Died', time(deadLetter.died_at)],
          ].map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))),
        ),
        deadLetter.history.length > 0 &&
          h(
            'ol',
            { 'aria-label': 'History' },
            ...deadLetter.history.map(({ at, reason }) =>
              h('li', {}, `${time(at)}: `, h('code', {}, reason)),
            ),
          ),
      ),
    )
  }

  function nameButtons() {
    const what = chosen.size > 0 ? `the ${count(chosen.size)} chosen` : `all ${nameOf(filter)}`
    fill(replayButton, `Replay ${what}`)
    fill(purgeButton, `Purge ${what}`)
  }

  function selection() {
    if (chosen.size > 0) return { ids: [...chosen] }
    const { test, ...rest } = filter
    return { filter: { ...rest, ...(test === undefined ? {} : { test: test === 'true' }) } }
  }

  async function replay() {
    const wanted = selection()
    const total = 'ids' in wanted ? wanted.ids?.length : undefined
    const isDone = await inSteps(
      '/dead-letters/replay',
      wanted,
      total,
      (sum) =>
        `${count(sum['replayed'])} queued again, ${count(sum['duplicates'])} were posted again meanwhile, ${count(sum['too_old'])} are too old.`,
    )
    if (isDone) await load()
  }

  function openPurge() {
    const wanted = selection()
    openForm({
      title: `Purge ${chosen.size > 0 ? `the ${count(chosen.size)} chosen` : `all ${nameOf(filter)}`}?`,
      content: [h('p', {}, 'They are deleted for good. The totals go on counting them.')],
      button: 'Purge',
      isDangerous: true,
      async send() {
        // Not awaited: the dialog closes, and the page has the progress and the button that stops it.
        void purge(wanted)
      },
    })
  }

  /** @param {object} wanted */
  async function purge(wanted) {
    const isDone = await inSteps(
      '/dead-letters/purge',
      wanted,
      undefined,
      (sum) => `${count(sum['purged'])} purged.`,
    )
    if (isDone) await load()
  }

  /**
   * @param {string} path
   * @param {object} wanted
   * @param {number | undefined} total
   * @param {(sum: Record<string, number>) => string} tell
   * @returns {Promise<boolean>} whether the list is to be looked at again
   */
  async function inSteps(path, wanted, total, tell) {
    isStopped = false
    /** @type {Record<string, number>} */
    const sum = {}
    const bar = h('progress', { max: total, 'aria-label': 'Progress' })
    const text = h('span')
    const stop = h('button', { type: 'button', onclick: () => void (isStopped = true) }, 'Stop')
    fill(progress, bar, text, stop)
    Object.assign(replayButton, { disabled: true })
    Object.assign(purgeButton, { disabled: true })
    try {
      /** @type {string | null} */
      let next = null
      do {
        const { next_cursor, ...counts } = await ask('POST', path, {
          ...wanted,
          limit: STEP,
          ...(next === null ? {} : { cursor: next }),
        })
        for (const [name, value] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + Number(value)
        const done = Object.values(sum).reduce((one, other) => one + other, 0)
        if (total !== undefined) Object.assign(bar, { value: done })
        fill(text, tell(sum))
        next = next_cursor
      } while (next !== null && !isStopped && !isClosed)
      const told =
        next === null ? tell(sum) : `Stopped${isClosed ? ', since the page was left' : ''}. ${tell(sum)}`
      fill(progress, h('p', {}, told))
      speak(told)
      return !isClosed
    } catch (error) {
      fill(progress, h('p.problem', {}, /** @type {Error} */ (error).message))
      return false
    } finally {
      Object.assign(replayButton, { disabled: false })
      Object.assign(purgeButton, { disabled: false })
    }
  }

  more.hidden = true
  void load()
  return {
    element,
    close() {
      isClosed = true
    },
  }
}

/** What a filter leaves, in words. @param {Record<string, string>} filter */
function nameOf({ ad_account_id: id, status, test, reason, event_name: name, event_id, order_id }) {
  return [
    status,
    test && (test === 'true' ? 'test' : 'live'),
    name && `'${name}'`,
    'dead letters',
    reason && `for '${reason}'`,
    event_id && `with event id '${event_id}'`,
    order_id && `with order id '${order_id}'`,
    id && `of ${id}`,
  ]
    .filter(Boolean)
    .join(' ')
}
