/** Match quality: by what Pinterest can match events with people, what to improve first, and whether the volume is as usual. */
import { accountField } from './account-field.js'
import { cell, fill, h, keyedRows, row, setText, svg, table, word } from './dom.js'
import { count, percent, span } from './format.js'
import { createMore } from './more.js'
import { poll } from './poll.js'
import { ask } from './session.js'

/** @typedef {{ name: string, label: string, is_bad: boolean }} Column */

const REFRESH_EVERY_MS = 15_000
const ADVICE_SHOWN = 6
/** Lines of advice. */
const ADVICE_KEPT = 100

/** @param {URLSearchParams} query @returns {import('./main.js').View} */
export function createQuality(query) {
  const hours = /** @type {HTMLSelectElement} */ (
    h(
      'select',
      { id: 'hours', onchange: () => void refresh() },
      ...[24, 6, 1].map((value) =>
        h('option', { value: String(value) }, value === 1 ? 'the last hour' : `the last ${value} hours`),
      ),
    )
  )
  const account = accountField(
    'Ad account',
    { id: 'quality-account', value: query.get('ad_account_id') ?? '' },
    () => refresh(),
  )
  /** By account. @type {ReadonlyMap<string, string>} */
  let labels = new Map()
  const note = h('p.quiet', { role: 'status' })
  const rows = h('tbody')
  /** The relay names the columns. @type {Column[]} */
  let columns = []
  const showRows = keyedRows(rows, nameOf, (row) => createShares(row, columns, showAccount(row)))
  const shares = h('div')
  const moreRows = createMore('with the most events', () => void refresh())
  const advice = createAdvice()
  const volumeRows = h('tbody')
  const showVolumes = keyedRows(volumeRows, nameOf, (volume) => createVolume(volume, showAccount(volume)))
  const volumeNote = h('p.quiet')
  const moreVolumes = createMore('that matter most', () => void refresh())
  const element = h(
    'div',
    {},
    h('div.bar', {}, account.element, h('p.field', {}, h('label', { for: 'hours' }, 'Over'), hours)),
    note,
    h(
      'section',
      { 'aria-labelledby': 'advice' },
      h('h2', { id: 'advice' }, 'What to improve first'),
      advice.element,
    ),
    h(
      'section',
      { 'aria-labelledby': 'shares' },
      h('h2', { id: 'shares' }, 'Share of events with …'),
      shares,
      moreRows.element,
    ),
    h(
      'section',
      { 'aria-labelledby': 'volume' },
      h('h2', { id: 'volume' }, 'Volume against its own past'),
      volumeNote,
      table('Volume', ['Account', 'Event', 'State', 'Seen', 'Expected', 'Last 24 hours'], volumeRows),
      moreVolumes.element,
    ),
  )

  /** An answer that was overtaken by a newer question is thrown away. */
  let asked = 0

  async function refresh() {
    const mine = ++asked
    try {
      const accounts = (await account.loaded) ?? []
      labels = new Map(accounts.map(({ ad_account_id: id, label }) => [id, label]))
      const id = account.value()
      const parameters = new URLSearchParams({
        hours: hours.value,
        ...(id === '' ? {} : { ad_account_id: id }),
      })
      const volumeQuery = id === '' ? '' : `?ad_account_id=${encodeURIComponent(id)}`
      const [quality, { volume }] = await Promise.all([
        ask('GET', `/match-quality?${parameters}`),
        ask('GET', `/volume${volumeQuery}`),
      ])
      if (mine !== asked) return
      setText(note, quality.rows.length === 0 ? 'No live event since the start of this process.' : '')
      if (columns.length === 0) {
        columns = quality.columns
        const heads = columns.map(({ label }) => label)
        fill(shares, table('Match quality', ['Account', 'Event', 'Events', ...heads], rows))
      }
      showRows(moreRows.take(quality.rows))
      advice.set(quality.rows)
      showVolumes(moreVolumes.take(volume))
      setText(
        volumeNote,
        volume.length === 0
          ? 'Nothing seen yet.'
          : 'A drop or surge is marked when chance does not explain it.',
      )
    } catch (error) {
      if (mine === asked) setText(note, /** @type {Error} */ (error).message)
    }
  }

  /** @param {{ ad_account_id: string }} row */
  function showAccount({ ad_account_id: id }) {
    const label = labels.get(id)
    return label ? h('div', {}, label, h('small', {}, id)) : id
  }

  const end = poll(REFRESH_EVERY_MS, refresh)
  return { element, close: end }
}

/** @param {any} row */
function nameOf({ ad_account_id: id, event_name: name }) {
  return `${id}/${name}`
}

/** The rows come with the most events first, and each row's advice with the worst first. */
function createAdvice() {
  const none = h('p.quiet', {}, 'Nothing that is worth it now. Advice needs some events first.')
  const first = h('ul')
  const summary = h('summary')
  const rest = h('ul')
  const details = h('details', {}, summary, rest)
  const element = h('div.advice', {}, none, first, details)
  none.hidden = first.hidden = details.hidden = true
  let shown = ''

  return {
    element,
    /** @param {any[]} rows */
    set(rows) {
      const items = rows.flatMap((row) =>
        row.advice.map((/** @type {any} */ { message }) => ({
          about: `${row.ad_account_id} ${row.event_name}: `,
          message,
        })),
      )
      const part = items.slice(0, ADVICE_KEPT)
      const text = JSON.stringify([items.length, part])
      if (text === shown) return
      shown = text
      const elements = part.map(({ about, message }) => h('li', {}, h('b', {}, about), message))
      const more = items.length - ADVICE_SHOWN
      none.hidden = items.length > 0
      first.hidden = items.length === 0
      details.hidden = more <= 0
      fill(first, ...elements.slice(0, ADVICE_SHOWN))
      fill(rest, ...elements.slice(ADVICE_SHOWN))
      const unseen = items.length - part.length
      setText(
        summary,
        `${count(more)} more${unseen > 0 ? `, the first ${ADVICE_KEPT - ADVICE_SHOWN} of them here` : ''}`,
      )
    },
  }
}

/** @param {any} quality @param {Column[]} columns @param {HTMLElement | string} account */
function createShares({ event_name: name }, columns, account) {
  const events = h('span')
  const bars = columns.map((column) => shareBar(column.is_bad))
  return {
    element: row(
      cell('Account', account),
      cell('Event', word(name)),
      cell('Events', events),
      ...columns.map(({ label }, index) => cell(label, bars[index]?.element)),
    ),
    /** @param {any} quality */
    update({ events: number, shares }) {
      setText(events, count(number))
      columns.forEach((column, index) => bars[index]?.set(shares[column.name]))
    },
  }
}

/** @param {boolean} isBad */
function shareBar(isBad) {
  const part = svg('rect', { class: 'part', width: 0, height: 8 })
  const text = h('span')
  return {
    element: h(
      'span.share',
      {},
      svg(
        'svg',
        {
          viewBox: '0 0 100 8',
          preserveAspectRatio: 'none',
          'aria-hidden': 'true',
          class: 'share-bar',
          'data-bad': isBad,
        },
        svg('rect', { class: 'whole', width: 100, height: 8 }),
        part,
      ),
      text,
    ),
    /** @param {number} share */
    set(share) {
      part.setAttribute('width', String(100 * share))
      setText(text, percent(share))
    },
  }
}

/** @param {any} volume @param {HTMLElement | string} account */
function createVolume({ event_name: name }, account) {
  const stateText = h('span.state')
  const seen = h('span')
  const over = h('small')
  const usual = h('span')
  const spark = cell('Last 24 hours')
  let drawn = ''
  return {
    element: row(
      cell('Account', account),
      cell('Event', word(name)),
      cell('State', stateText),
      cell('Seen', seen, over),
      cell('Expected', usual),
      spark,
    ),
    /** @param {any} volume */
    update({ state, observed, expected, window_minutes: minutes, hours }) {
      stateText.dataset['state'] = state === 'normal' ? 'good' : state === 'learning' ? 'waits' : 'bad'
      setText(stateText, state)
      setText(seen, count(observed))
      setText(over, minutes ? `in ${span(60 * minutes)}` : '')
      setText(usual, count(expected))
      const wanted = hours.join()
      if (wanted === drawn) return
      drawn = wanted
      fill(spark, sparkline(hours))
    },
  }
}

/** @param {number[]} counts */
function sparkline(counts) {
  const most = Math.max(1, ...counts)
  return svg(
    'svg',
    {
      viewBox: `0 0 ${counts.length * 5} 24`,
      class: 'spark',
      role: 'img',
      'aria-label': `Per hour, the last one ${count(counts.at(-1))}, at most ${count(Math.max(0, ...counts))}`,
    },
    ...counts.map((value, index) =>
      svg('rect', { x: index * 5, y: 24 - (22 * value) / most, width: 4, height: (22 * value) / most }),
    ),
  )
}
