/** Match quality: by what Pinterest can match events with people, what to mend first, and whether the volume is as usual. */
import { cell, fill, h, row, svg, table } from './dom.js'
import { count, percent, span } from './format.js'
import { poll } from './poll.js'
import { ask } from './session.js'

/** @type {readonly [name: string, head: string][]} */
const SHARES = [
  ['em', 'E-mail'],
  ['ph', 'Phone'],
  ['external_id', 'External id'],
  ['click_id', 'Click id'],
  ['ip_and_user_agent', 'IP and agent'],
  ['late', 'Late'],
  ['warned', 'Warned'],
  ['refused', 'Refused'],
]
/** Of these a high share is bad. */
const BAD = new Set(['late', 'warned', 'refused'])
const LOOK_EVERY_MS = 15_000
const ADVICE_SHOWN = 6

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
  const advice = h('div.advice')
  const volumeRows = h('tbody')
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
    h('section', { 'aria-labelledby': 'mend' }, h('h2', { id: 'mend' }, 'What to mend first'), advice),
    h(
      'section',
      { 'aria-labelledby': 'shares' },
      h('h2', { id: 'shares' }, 'Share of events with …'),
      table('Match quality', ['Account', 'Event', 'Events', ...SHARES.map(([, head]) => head)], rows),
    ),
    h(
      'section',
      { 'aria-labelledby': 'volume' },
      h('h2', { id: 'volume' }, 'Volume against its own past'),
      volumeNote,
      table('Volume', ['Account', 'Event', 'State', 'Seen', 'Expected', 'Last 24 hours'], volumeRows),
    ),
  )

  async function look() {
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
      fill(note, quality.rows.length === 0 ? 'No live event since the start of this process.' : '')
      fill(rows, ...quality.rows.map(showRow))
      const advised = quality.rows.flatMap((/** @type {any} */ one) =>
        one.advice.map((/** @type {any} */ { message }) =>
          h('li', {}, h('b', {}, `${one.ad_account_id} ${one.event_name}: `), message),
        ),
      )
      showAdvice(advised)
      fill(volumeRows, ...volume.map(showVolume))
      fill(
        volumeNote,
        volume.length === 0
          ? 'Nothing seen yet.'
          : 'A drop or surge is marked when chance does not explain it.',
      )
    } catch (error) {
      fill(note, /** @type {Error} */ (error).message)
    }
  }

  /** The rows come with the most events first, and each row's advice with the worst first. @param {HTMLElement[]} items */
  function showAdvice(items) {
    const wasOpen = advice.querySelector('details')?.open ?? false
    const rest = items.slice(ADVICE_SHOWN)
    fill(
      advice,
      items.length === 0
        ? h('p.quiet', {}, 'Nothing that is worth it now. Advice needs some events first.')
        : h('ul', {}, ...items.slice(0, ADVICE_SHOWN)),
      rest.length > 0 &&
        h('details', { open: wasOpen }, h('summary', {}, `${count(rest.length)} more`), h('ul', {}, ...rest)),
    )
  }

  const end = poll(LOOK_EVERY_MS, look)
  return { element, close: end }
}

/** @param {any} quality */
function showRow({ ad_account_id: id, event_name: name, events, shares }) {
  return row(
    cell('Account', id),
    cell('Event', name),
    cell('Events', count(events)),
    ...SHARES.map(([share, head]) => cell(head, shareBar(shares[share], BAD.has(share)))),
  )
}

/** @param {number} share @param {boolean} isBad */
function shareBar(share, isBad) {
  return h(
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
      svg('rect', { class: 'part', width: 100 * share, height: 8 }),
    ),
    percent(share),
  )
}

/** @param {any} volume */
function showVolume({
  ad_account_id: id,
  event_name: name,
  state,
  observed,
  expected,
  window_minutes: minutes,
  hours,
}) {
  const isMarked = state !== 'normal' && state !== 'learning'
  return row(
    cell('Account', id),
    cell('Event', name),
    cell(
      'State',
      h('span.state', { 'data-state': isMarked ? 'stands' : state === 'learning' ? 'waits' : 'good' }, state),
    ),
    cell('Seen', count(observed), minutes ? h('small', {}, `in ${span(60 * minutes)}`) : null),
    cell('Expected', count(expected)),
    cell('Last 24 hours', sparkline(hours)),
  )
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
