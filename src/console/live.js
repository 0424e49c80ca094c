/** Live: whether posts are taken, who needs a person, recent statistics, and the queues with what repairs them. */
import { fill, h, setText } from './dom.js'
import { accountField } from './account-field.js'
import { count, duration, rate, size, span, time } from './format.js'
import { createLivePlots } from './live-plots.js'
import { poll } from './poll.js'
import { createQueues } from './queues.js'
import { ask } from './session.js'

/** @typedef {import('./live-plots.js').Sample} Sample */
/**
 * @typedef {{ ad_account_id: string, label: string, means: string, offline_at: string | null, expires_at: string | null }} Blocked
 */

const REFRESH_EVERY_MS = 2500
/** As many steps of five seconds make up "now". */
const NOW_STEPS = 6
const RANGES = /** @type {const} */ ([
  ['15m', '15 minutes'],
  ['6h', '6 hours'],
  ['7d', '7 days'],
])
const SAMPLES_SHOWN = 360
/** @type {Record<string, number>} */
const SPANS_S = { '15m': 900, '6h': 21_600, '7d': 604_800 }

/** @param {URLSearchParams} query @returns {import('./main.js').View} */
export function createLive(query) {
  const banner = h('div.banner', { role: 'status' }, 'Asking the relay…')
  const tiles = {
    posts: tile('Posts per second'),
    delivered: tile('Delivered events per second'),
    latency: tile('Answer time, 99 of 100'),
    queued: tile('Events waiting'),
    age: tile('Age of the oldest live event'),
    store: tile('Store'),
  }
  const range = /** @type {HTMLSelectElement} */ (
    h(
      'select',
      { id: 'range', onchange: () => void refresh() },
      ...RANGES.map(([value, text]) => h('option', { value }, text)),
    )
  )
  const account = accountField(
    'Ad account',
    { id: 'live-account', value: query.get('ad_account_id') ?? '' },
    () => refresh(),
  )
  const plots = createLivePlots()
  const queues = createQueues(refresh)
  const totals = h('dl.totals')
  const figures = h(
    'div',
    {},
    h('div.tiles', {}, ...Object.values(tiles).map((one) => one.element)),
    h(
      'div.bar.above',
      {},
      h('p.field', {}, h('label', { for: 'range' }, 'Plots over'), range),
      account.element,
    ),
    plots.element,
    queues.element,
    h('section', { 'aria-labelledby': 'totals' }, h('h2', { id: 'totals' }, 'Totals'), totals),
  )
  const element = h('div', {}, banner, figures)

  /** Of each range that was shown. @type {Map<string, Sample[]>} */
  const known = new Map()
  let seenMs = 0
  /** By the relay's clock: deadlines are. */
  let relayMs = 0
  /** An answer that was overtaken by a newer question is thrown away. */
  let asked = 0

  async function refresh() {
    const mine = ++asked
    const wanted = range.value
    const id = account.value()
    try {
      const samples = known.get(wanted) ?? []
      const since = samples.at(-1)?.at ?? 0
      const [answer, ofAccount, short] = await Promise.all([
        ask(
          'GET',
          `/live?range=${wanted}&since=${since.toFixed(3)}${id && `&ad_account_id=${encodeURIComponent(id)}`}`,
        ),
        id === '' ? undefined : readAccount(id),
        wanted === RANGES[0][0]
          ? undefined
          : ask('GET', `/live?since=${(Date.now() / 1000 - 60).toFixed(3)}`),
      ])
      if (mine !== asked) return
      const newer = answer.samples.filter((/** @type {Sample} */ sample) => sample.at > since)
      const kept = [...samples, ...newer].slice(-SAMPLES_SHOWN)
      known.set(wanted, kept)
      seenMs = Date.now()
      relayMs = 1000 * answer.at
      delete figures.dataset['stale']
      render(answer, short ?? { ...answer, samples: kept })
      if (ofAccount === undefined) plots.setAll(kept, answer.step_seconds, answer.at, SPANS_S[wanted] ?? 0)
      else plots.setAccount(ofAccount.volume, answer.at, wanted)
      renderTotals(ofAccount?.totals ?? answer.totals)
      queues.set(answer.queues, id === '' ? answer.queue_count : undefined)
    } catch (error) {
      if (mine !== asked) return
      figures.dataset['stale'] = ''
      const message = /** @type {Error} */ (error).message
      renderBanner('bad', seenMs === 0 ? message : `${message} The figures below are of ${time(seenMs)}.`)
    }
  }

  /** @param {string} id */
  async function readAccount(id) {
    const about = `ad_account_id=${encodeURIComponent(id)}`
    const [{ volume }, ofAll] = await Promise.all([
      ask('GET', `/volume?${about}&hours=168`),
      ask('GET', `/totals?${about}`),
    ])
    return { volume, totals: ofAll }
  }

  /** @param {any} answer @param {{ samples: Sample[], step_seconds: number }} recent steps of five seconds */
  function render(answer, recent) {
    renderNotice(answer)
    const now = recent.samples.slice(-NOW_STEPS)
    const mean = (/** @type {string} */ name) =>
      now.length === 0
        ? 0
        : now.reduce((sum, sample) => sum + (sample[name] ?? 0), 0) / (now.length * recent.step_seconds)
    tiles.posts.set(rate(mean('posts')))
    tiles.delivered.set(rate(mean('delivered')))
    const answered = now.findLast((sample) => (sample['post_p99_seconds'] ?? null) !== null)
    tiles.latency.set(duration(answered?.['post_p99_seconds']))
    tiles.queued.set(count(answer.totals?.queued))
    tiles.age.set(span(answer.oldest_age_seconds))
    tiles.store.set(
      answer.store ? size(answer.store.used_bytes) : '–',
      answer.store && `${size(answer.store.disk_free_bytes)} free`,
    )
  }

  /** @param {Record<string, number> | null} counts */
  function renderTotals(counts) {
    if (!counts) return
    fill(
      totals,
      ...Object.entries(counts).map(([name, value]) =>
        h('div', {}, h('dt', {}, name), h('dd', {}, count(value))),
      ),
    )
  }

  /** @param {any} answer */
  function renderNotice({
    cell,
    problem_means: problem,
    accounts: registered,
    accounts_blocked: blocked,
    blocked: first,
    paused_accounts: paused,
  }) {
    const rest = paused === 0 ? '' : `, but for ${accounts(paused)} that a person paused`
    const where = cell === null ? '' : `${cell}: `
    if (problem) renderBanner('bad', `${where}${problem}`, first)
    else if (registered === 0 && blocked === 0)
      renderBanner('new', `${where}Posts are refused until there is an account. `)
    else if (blocked === 0)
      renderBanner('good', `${where}Posts are taken, and every queue continues by itself${rest}.`)
    else {
      const others = blocked - first.length
      renderBanner(
        'warn',
        `${where}Posts are taken. ${accounts(blocked)} ${blocked === 1 ? 'needs' : 'need'} a person${others > 0 ? `; the first ${first.length}` : ''}:`,
        first,
      )
    }
  }

  /** @param {string} name @param {string} text @param {readonly Blocked[]} [blocked] */
  function renderBanner(name, text, blocked = []) {
    const shown = JSON.stringify([name, text, blocked])
    if (banner.dataset['shown'] === shown) return
    Object.assign(banner.dataset, { state: name, shown })
    fill(
      banner,
      h('p', {}, text, name === 'new' && h('a', { href: '#/accounts' }, 'First steps')),
      blocked.length > 0 && h('ul', {}, ...blocked.map((one) => showBlocked(one, relayMs))),
    )
  }

  const end = poll(REFRESH_EVERY_MS, refresh)
  return {
    element,
    close() {
      end()
      plots.close()
    },
  }
}

/** @param {Blocked} blocked @param {number} nowMs */
function showBlocked({ ad_account_id: id, label, means, offline_at: offline, expires_at: expires }, nowMs) {
  const deadline =
    offline === null
      ? 'Nothing of it waits.'
      : Date.parse(offline) > nowMs
        ? `From ${time(offline)} its oldest event counts as offline.`
        : `At ${time(expires)} its oldest event becomes a dead letter.`
  return h('li', {}, h('a', { href: `#/accounts?id=${id}` }, label || id), `: ${means} ${deadline}`)
}

/** @param {number} number */
function accounts(number) {
  return number === 1 ? '1 account' : `${count(number)} accounts`
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
