/** Accounts: how each one's token does, its queues, and what can be done about it. */
import { matching } from './account-field.js'
import { factList, fill, h } from './dom.js'
import { act, button, openAccountForm, removal, setPaused, verify } from './actions.js'
import { count, span, stateOf, time } from './format.js'
import { createFirstSteps } from './first-steps.js'
import { createMore } from './more.js'
import { ask } from './session.js'

/** @param {URLSearchParams} query @returns {import('./main.js').View} */
export function createAccounts(query) {
  const list = h('div.cards')
  const more = createMore('most urgent', () => render())
  const first = createFirstSteps()
  const note = h('p.quiet', { role: 'status' })
  const search = /** @type {HTMLInputElement} */ (
    h('input', { id: 'search', type: 'search', value: query.get('id') ?? '', oninput: () => render() })
  )
  const element = h(
    'div',
    {},
    h(
      'div.bar',
      {},
      h('p.field', {}, h('label', { for: 'search' }, 'Number or label'), search),
      h(
        'button.main',
        { type: 'button', onclick: () => openAccountForm(undefined, undefined, load) },
        'Register an account',
      ),
    ),
    first.element,
    note,
    list,
    more.element,
  )
  /** @type {any[]} */
  let accounts = []
  let isClosed = false

  async function load() {
    try {
      accounts = (await ask('GET', '/accounts')).accounts
      accounts.sort((one, other) => Number(needsPerson(other)) - Number(needsPerson(one)))
      if (isClosed) return
      render()
      await first.refresh(accounts)
    } catch (error) {
      fill(note, /** @type {Error} */ (error).message)
    }
  }

  function render() {
    const found = matching(accounts, search.value)
    fill(list, ...more.take(found).map(showAccount))
    fill(note, accounts.length === 0 ? '' : `${count(found.length)} of ${count(accounts.length)}`)
  }

  /** @param {any} account */
  function showAccount(account) {
    const { ad_account_id: id, label, token, grant, queues, paused } = account
    const troubles = [...account.problems, ...queues].filter(
      (/** @type {any} */ { status, urgency }) => urgency > 0 && status !== 'paused',
    )
    return h(
      'article.card',
      { 'aria-label': label || id },
      h('h2', {}, label || id, ' ', paused ? h('span.state', { 'data-state': 'bad' }, 'paused') : null),
      factList([
        ['Number', id],
        ['Token', showToken(token)],
        grant && [
          'Grant',
          grant.status === 'valid'
            ? `valid, next refresh in ${span(grant.next_refresh_in_seconds)}`
            : 'refused: consent again',
        ],
        token.last_failure && [
          'Last failure',
          `${time(token.last_failure.at)}: ${token.last_failure.reason}`,
        ],
        ['Last success', time(token.last_success_at)],
        ['Country', account.country ?? '–'],
      ]),
      ...troubles.map((/** @type {any} */ { test, status, urgency, means, action }) =>
        h(
          'p',
          {},
          h('span.state', { 'data-state': stateOf(urgency) }, status),
          `${test === undefined ? '' : test ? ' Test queue.' : ' Live queue.'} ${means} `,
          act(id, action, load),
        ),
      ),
      h(
        'div.actions',
        {},
        button('Verify', id, () => verify(id).then(load)),
        paused
          ? button('Resume', id, () => setPaused(id, false).then(load))
          : button('Pause', id, () => setPaused(id, true).then(load)),
        button('Change or rotate', id, async () => openAccountForm(id, account, load)),
        account.client_id && h('a', { href: `/accounts/${id}/authorize` }, 'Consent'),
        grant &&
          button('Mint a conversion token', id, () =>
            ask('POST', `/accounts/${id}/conversion-token`).then(load),
          ),
        h('a', { href: `#/dead-letters?ad_account_id=${id}` }, 'Dead letters'),
        removal({
          name: id,
          path: `/accounts/${id}`,
          effect:
            'Its token is deleted and its posts get 403. Events that wait stay in the store: they are sent when it is registered again, and become dead letters when they are too old. Sources that name it still take webhooks, and their events wait, too.',
          afterwards: load,
        }),
      ),
    )
  }

  void load()
  return { element, close: () => void (isClosed = true) }
}

/** @param {any} account */
const needsPerson = ({ problems, queues }) =>
  [...problems, ...queues].some((/** @type {any} */ { urgency }) => urgency >= 2)

/** @param {any} token */
function showToken({ kind, last4, age_seconds: age, expires_in_seconds: expires }) {
  if (kind === 'none') return 'none: consent is missing'
  const end = expires === null ? '' : `, expires in ${span(expires)}`
  return `${kind}, ends in …${last4}, ${span(age)} old${end}`
}
