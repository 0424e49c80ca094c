/** Relay keys: what storefronts post with. A key is shown once, when it is made. */
import { cell, fill, h, row, speak, table, timeOf } from './dom.js'
import { button, removal } from './actions.js'
import { accountChoice } from './account-field.js'
import { field, openForm, openNotice, textOf } from './dialogs.js'
import { createMore } from './more.js'
import { ask } from './session.js'

/** @returns {import('./main.js').View} */
export function createKeys() {
  const body = h('tbody')
  /** @type {any[]} */
  let keys = []
  const more = createMore('newest', () => render())
  const note = h('p.quiet', { role: 'status' })
  const make = button('Make a key', '', openMake)
  make.className = 'main'
  const element = h(
    'div',
    {},
    h('div.bar', {}, note, make),
    table('Relay keys', ['Label', 'Begins with', 'Ad accounts', 'Made', 'Last used', 'Action'], body),
    more.element,
  )

  async function load() {
    try {
      keys = (await ask('GET', '/keys')).keys
      keys.sort((one, other) => other.created_at.localeCompare(one.created_at))
      render()
      fill(note, keys.length === 0 ? 'No key yet. A storefront posts with one as its access token.' : '')
    } catch (error) {
      fill(note, /** @type {Error} */ (error).message)
    }
  }

  function render() {
    fill(body, ...more.take(keys).map(showKey))
  }

  /** @param {{ id: string, prefix: string, label: string, ad_account_ids: string[], created_at: string, last_used_at: string | null, use_known_since: string }} key */
  function showKey(key) {
    return row(
      cell('Label', key.label),
      cell('Begins with', h('div', {}, h('code', {}, `${key.prefix}…`), h('small', {}, `id ${key.id}`))),
      cell('Ad accounts', showAccounts(key.ad_account_ids)),
      cell('Made', timeOf(key.created_at)),
      cell(
        'Last used',
        h(
          'span',
          {},
          key.last_used_at === null && 'not since ',
          timeOf(key.last_used_at ?? key.use_known_since),
        ),
      ),
      cell(
        'Action',
        removal({
          name: key.label,
          what: `the key ${key.label}`,
          path: `/keys/${key.id}`,
          effect: 'Whoever posts with it gets 401 from then on.',
          afterwards: load,
        }),
      ),
    )
  }

  async function openMake() {
    const { accounts } = await ask('GET', '/accounts')
    const choice = accountChoice(accounts)
    openForm({
      title: 'Make a relay key',
      content: [
        field('Label', { name: 'label', required: true, maxlength: 200 }, 'Who posts with it.'),
        accounts.length === 0
          ? h('p', {}, 'Register an account first: a key is for accounts.')
          : choice.element,
      ],
      button: 'Make',
      async send(fields) {
        if (choice.chosen().length === 0) throw new Error('Choose the ad accounts that it may post to.')
        const made = await ask('POST', '/keys', {
          label: textOf(fields, 'label'),
          ad_account_ids: choice.chosen(),
        })
        await load()
        showOnce(made.key)
      },
    })
  }

  void load()
  return { element, close() {} }
}

const ACCOUNTS_SHOWN = 5

/** @param {string[]} ids */
function showAccounts(ids) {
  const more = ids.length - ACCOUNTS_SHOWN
  return ids.slice(0, ACCOUNTS_SHOWN).join(', ') + (more > 0 ? `, and ${more} more` : '')
}

/** @param {string} key */
function showOnce(key) {
  const copy = h('button', { type: 'button' }, 'Copy')
  copy.addEventListener('click', () => {
    navigator.clipboard.writeText(key).then(
      () => speak('Copied.'),
      () => speak('It could not be copied: select it.'),
    )
  })
  openNotice(
    'The key, shown this once',
    h('p', {}, h('code.secret', { tabindex: 0 }, key), ' ', copy),
    h('p.quiet', {}, 'The relay keeps only its hash. Lost keys are replaced, not found again.'),
  )
}
