/** A field for an ad account, which offers those that are registered by number and label. */
import { fill, h } from './dom.js'
import { ask } from './session.js'

/** More than a person picks from; another one's number is typed. */
const OFFERED = 200

/**
 * @param {string} label
 * @param {{ id: string, value?: string, required?: boolean, placeholder?: string, name?: string }} properties
 * @param {() => unknown} [onChange]
 */
export function accountField(label, properties, onChange) {
  const list = `${properties.id}-list`
  const input = /** @type {HTMLInputElement} */ (
    h('input', {
      list,
      inputmode: 'numeric',
      pattern: '\\d{1,18}',
      placeholder: 'all',
      autocomplete: 'off',
      size: 20,
      ...properties,
      onchange: () => void onChange?.(),
    })
  )
  const offered = h('datalist', { id: list })
  const element = h('p.field', {}, h('label', { for: properties.id }, label), input, offered)
  const loaded = ask('GET', '/accounts').then(
    ({ accounts }) => {
      const options = accounts
        .slice(0, OFFERED)
        .map((/** @type {any} */ { ad_account_id: id, label: name }) => h('option', { value: id }, name))
      fill(offered, ...options)
      return /** @type {any[]} */ (accounts)
    },
    // The view's own requests say what is wrong.
    () => undefined,
  )
  return { element, input, loaded, value: () => input.value.trim() }
}

/** Those whose number or label holds the text. @param {readonly any[]} accounts @param {string} text */
export function matching(accounts, text) {
  const wanted = text.trim().toLowerCase()
  return accounts.filter(
    ({ ad_account_id: id, label }) => id.includes(wanted) || label.toLowerCase().includes(wanted),
  )
}

const LISTED = 50

/** Chooses several of the registered accounts, found by number or label. @param {readonly any[]} accounts */
export function accountChoice(accounts) {
  /** @type {Set<string>} */
  const chosen = new Set(accounts.length === 1 ? [accounts[0].ad_account_id] : [])
  const search = /** @type {HTMLInputElement} */ (
    h('input', { id: 'choice-search', type: 'search', oninput: render })
  )
  const list = h('div.choice')
  const note = h('p.quiet', { role: 'status' })

  function render() {
    const found = matching(accounts, search.value)
    fill(list, ...found.slice(0, LISTED).map(showAccount))
    const more = found.length - LISTED
    fill(
      note,
      `${chosen.size} chosen${more > 0 ? `; ${more} more are found: type more of the number or label` : ''}.`,
    )
  }

  /** @param {any} account */
  function showAccount({ ad_account_id: id, label }) {
    const box = h('input', {
      type: 'checkbox',
      checked: chosen.has(id),
      onchange(/** @type {any} */ event) {
        if (event.target.checked) chosen.add(id)
        else chosen.delete(id)
        render()
        // Rendered anew: the focus stays on this account's box.
        const [again] = [...list.children].filter((/** @type {any} */ one) => one.dataset.id === id)
        again?.querySelector('input')?.focus()
      },
    })
    return h('label', { 'data-id': id }, box, ' ', id, label ? ` ${label}` : '')
  }

  render()
  const element = h(
    'fieldset',
    {},
    h('legend', {}, 'Ad accounts'),
    h('p.field', {}, h('label', { for: 'choice-search' }, 'Find'), search),
    list,
    note,
  )
  return { element, chosen: () => [...chosen] }
}
