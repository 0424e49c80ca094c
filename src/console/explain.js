/** Explain: paste events, see side by side how each value came, how it is normalized, and what Pinterest would get. */
import { accountField } from './account-field.js'
import { cell, fill, h, row, table } from './dom.js'
import { count } from './format.js'
import { ask } from './session.js'

const EXAMPLE = JSON.stringify(
  {
    data: [
      {
        event_name: 'checkout',
        action_source: 'web',
        event_time: 0,
        event_id: 'order-4711',
        user_data: {
          em: ' Person@Example.COM ',
          ph: '(415) 555-2671',
          country: 'USA',
          st: 'California',
          zp: '94107-1234',
        },
        custom_data: { currency: 'usd', value: 72.39, order_id: '4711' },
      },
    ],
  },
  undefined,
  2,
)
const SHOWN = 50

/** @returns {import('./main.js').View} */
export function createExplain() {
  const {
    element: accountElement,
    input: account,
    loaded,
  } = accountField('As events of', {
    id: 'explain-account',
    placeholder: 'its number',
    required: true,
  })
  const text = /** @type {HTMLTextAreaElement} */ (
    h('textarea', { id: 'explain-text', rows: 14, spellcheck: 'false', required: true })
  )
  text.value = EXAMPLE.replace('"event_time": 0', `"event_time": ${Math.floor(Date.now() / 1000)}`)
  const test = /** @type {HTMLInputElement} */ (h('input', { id: 'explain-test', type: 'checkbox' }))
  const problem = h('p.problem', { role: 'alert' })
  const results = h('div', { 'aria-live': 'polite' })
  const form = h(
    'form',
    {
      onsubmit(event) {
        event.preventDefault()
        void explain()
      },
    },
    accountElement,
    h('p.field', {}, h('label', { for: 'explain-text' }, 'Events as a storefront posts them'), text),
    h('p', {}, test, ' ', h('label', { for: 'explain-test' }, 'As test events, which may have any age')),
    problem,
    h(
      'div.actions',
      {},
      h('button.main', { type: 'submit' }, 'Explain'),
      h('span.quiet', {}, 'Nothing is sent or stored.'),
    ),
  )
  const element = h('div', {}, form, results)

  async function chooseAccount() {
    const accounts = await loaded
    if (accounts === undefined) return
    if (accounts.length === 1 && account.value === '') account.value = accounts[0].ad_account_id
    if (accounts.length === 0)
      fill(problem, 'Register an account first: its country decides how numbers are read.')
  }

  async function explain() {
    fill(problem)
    fill(results)
    const data = readEvents(text.value)
    if (data === undefined) {
      fill(problem, 'That is not JSON: paste {"data": […]}, a list of events, or one event.')
      return
    }
    try {
      const query = new URLSearchParams({ ad_account_id: account.value.trim(), test: String(test.checked) })
      const { events } = await ask('POST', `/explain?${query}`, { data })
      fill(
        results,
        ...events.slice(0, SHOWN).map(showEvent),
        events.length > SHOWN ? h('p', {}, `${SHOWN} of ${count(events.length)} are shown.`) : null,
      )
    } catch (error) {
      fill(problem, /** @type {Error} */ (error).message)
    }
  }

  void chooseAccount()
  return { element, close() {} }
}

/** @param {string} text @returns {unknown[] | undefined} */
function readEvents(text) {
  try {
    const read = JSON.parse(text)
    if (Array.isArray(read)) return read
    if (typeof read !== 'object' || read === null) return undefined
    return Array.isArray(read.data) ? read.data : [read]
  } catch {
    return undefined
  }
}

/** @param {any} event */
function showEvent(event) {
  const isGood = event.status === 'prepared'
  const sent = isGood ? 'Sent as' : 'Hash'
  const fields = h(
    'tbody',
    {},
    ...event.fields.map((/** @type {any} */ { path, given, normalized, hash, note }) =>
      row(
        cell('Field', h('code.word', {}, path)),
        cell('Came as', given),
        cell('Normalized', normalized ?? h('span.quiet', {}, hash === null ? 'dropped' : 'came hashed')),
        cell(sent, hash === null ? (normalized === null ? '–' : 'text') : h('code.hash', {}, hash)),
        cell('Note', note),
      ),
    ),
  )
  return h(
    'section.card',
    { 'aria-label': `Event ${event.index}` },
    h(
      'h2',
      {},
      `Event ${event.index}: ${event.event_name ?? 'no name'} `,
      h('code', {}, event.event_id ?? ''),
      ' ',
      h(
        'span.state',
        { 'data-state': isGood ? 'good' : 'bad' },
        isGood ? 'would be sent' : `${event.status}, not sent`,
      ),
    ),
    event.message && h('p.problem', {}, event.message),
    event.fields.length > 0 && table('User data', ['Field', 'Came as', 'Normalized', sent, 'Note'], fields),
    event.warnings.length > 0 &&
      h(
        'ul.warnings',
        { 'aria-label': 'Warnings' },
        ...event.warnings.map((/** @type {any} */ { path, code, message }) =>
          h('li', {}, h('code', {}, path ? `${path}: ${code}` : code), ' ', message),
        ),
      ),
    event.json &&
      h(
        'details',
        {},
        h('summary', {}, 'What Pinterest would get'),
        h('pre', { tabindex: 0 }, JSON.stringify(JSON.parse(event.json), undefined, 2)),
      ),
  )
}
