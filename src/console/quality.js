/** Match quality: by what Pinterest can match events with people, what to mend first, and whether the volume is as usual. */
import { cell, fill, h, keyedRows, row, setText, svg, table } from './dom.js'
import { count, percent, span } from './format.js'
import { poll } from './poll.js'
import { ask } from './session.js'

/** @typedef {{ name: string, label: string, is_bad: boolean }} Column */

const LOOK_EVERY_MS = 15_000
const ADVICE_SHOWN = 6
/** Rows of a table, and lines of advice: more than a person reads. An account's own are found by its number. */
const SHOWN = 100

/** @param {URLSearchParams} query @returns {import('./main.js').View} */
export function createQuality(query) {
  const hours = /** @type {HTMLSelectElement} */ (
    h(
      'select',
      { id: 'hours', onchange: () => void look() },
      ...[24, 6, 1].map((value) =>
        h('option', { value: String(value) }, value === 1 ? 'the last hour' : `the last ${value} hours`),
      ),
    )
  )
  const account = /** @type {HTMLInputElement} */ (
    h('input', {
      id: 'quality-account',
      inputmode: 'numeric',
      pattern: '\\d{1,18}',
      value: query.get('ad_account_id') ?? '',
      placeholder: 'all',
      onchange: () => void look(),
    })
  )
  const note = h('p.quiet', { role: 'status' })
  const rows = h('tbody')
  /** The relay names the columns. @type {Column[]} */
  let columns = []
  const showRows = keyedRows(rows, nameOf, (row) => createShares(row, columns))
  const shares = h('div')
  const rowNote = h('p.quiet')
  const advice = createAdvice()
  const volumeRows = h('tbody')
  const showVolumes = keyedRows(volumeRows, nameOf, createVolume)
  const volumeNote = h('p.quiet')
  const element = h(
    'div',
    {},
    h(
      'div.bar',
      {},
      h('p.field', {}, h('label', { for: 'quality-account' }, 'Ad account'), account),
      h('p.field', {}, h('label', { for: 'hours' }, 'Over'), hours),
    ),
    note,
    h(
      'section',
      { 'aria-labelledby': 'mend' },
      h('h2', { id: 'mend' }, 'What to mend first'),
      advice.element,
    ),
    h(
      'section',
      { 'aria-labelledby': 'shares' },
      h('h2', { id: 'shares' }, 'Share of events with …'),
      rowNote,
      shares,
    ),
    h(
      'section',
      { 'aria-labelledby': 'volume' },
      h('h2', { id: 'volume' }, 'Volume against its own past'),
      volumeNote,
      table('Volume', ['Account', 'Event', 'State', 'Seen', 'Expected', 'Last 24 hours'], volumeRows),
    ),
  )

  /** An answer that was overtaken by a newer question is thrown away. */
  let asked = 0

  async function look() {
    const mine = ++asked
    try {
      const id = account.value.trim()
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
      showRows(quality.rows.slice(0, SHOWN))
      setText(rowNote, partOf(quality.rows.length, 'with the most events'))
      advice.set(quality.rows)
      showVolumes(volume.slice(0, SHOWN))
      setText(
        volumeNote,
        volume.length === 0
          ? 'Nothing seen yet.'
          : `A drop or surge is marked when chance does not explain it. ${partOf(volume.length, 'that matter most')}`,
      )
    } catch (error) {
      if (mine === asked) setText(note, /** @type {Error} */ (error).message)
    }
  }

  const end = poll(LOOK_EVERY_MS, look)
  return { element, close: end }
}

/** @param {any} row */
function nameOf({ ad_account_id: id, event_name: name }) {
  return `${id}/${name}`
}

/** @param {number} rows @param {string} which */
function partOf(rows, which) {
  return rows > SHOWN ? `The ${SHOWN} ${which} of ${count(rows)}: name an ad account to see its own.` : ''
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
      const part = items.slice(0, SHOWN)
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
        `${count(more)} more${unseen > 0 ? `, the first ${SHOWN - ADVICE_SHOWN} of them here` : ''}`,
      )
    },
  }
}

/** @param {any} quality @param {Column[]} columns */
function createShares({ ad_account_id: id, event_name: name }, columns) {
  const events = h('span')
  const bars = columns.map((column) => shareBar(column.is_bad))
  return {
    element: row(
      cell('Account', id),
      cell('Event', name),
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

/** @param {any} volume */
function createVolume({ ad_account_id: id, event_name: name }) {
  const stateText = h('span.state')
  const seen = h('span')
  const over = h('small')
  const usual = h('span')
  const spark = cell('Last 24 hours')
  let drawn = ''
  return {
    element: row(
      cell('Account', id),
      cell('Event', name),
      cell('State', stateText),
      cell('Seen', seen, over),
      cell('Expected', usual),
      spark,
    ),
    /** @param {any} volume */
    update({ state, observed, expected, window_minutes: minutes, hours }) {
      stateText.dataset['state'] = state === 'normal' ? 'good' : state === 'learning' ? 'waits' : 'stands'
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
