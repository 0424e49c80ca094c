/** The form that says which dead letters are listed, counted, replayed and purged. */
import { h } from './dom.js'
import { textOf } from './dialogs.js'
import { accountField } from './account-field.js'

/** @typedef {Record<string, string>} Filter */

/** @param {URLSearchParams} query @param {() => void} onSubmit */
export function createFilter(query, onSubmit) {
  const given = (/** @type {string} */ name) => query.get(name) ?? ''
  const text = (/** @type {string} */ name, /** @type {string} */ label) =>
    labelled(name, label, h('input', { id: `filter-${name}`, name, size: 14, value: given(name) }))
  const choice = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {[string, string][]} */ options,
  ) =>
    labelled(
      name,
      label,
      h(
        'select',
        { id: `filter-${name}`, name },
        ...options.map(([value, shown]) => h('option', { value, selected: value === given(name) }, shown)),
      ),
    )
  const account = accountField('Ad account', {
    id: 'filter-ad_account_id',
    name: 'ad_account_id',
    value: given('ad_account_id'),
  })
  const form = /** @type {HTMLFormElement} */ (
    h(
      'form.bar',
      {
        'aria-label': 'Filter',
        onsubmit(event) {
          event.preventDefault()
          onSubmit()
        },
      },
      account.element,
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
      text('reason', 'Reason'),
      text('event_name', 'Event name'),
      text('event_id', 'Event id'),
      text('order_id', 'Order id'),
      h('button', { type: 'submit' }, 'Filter'),
    )
  )
  return {
    element: form,
    /** @returns {Filter} what is filled in */
    read() {
      const fields = new FormData(form)
      const texts = [...fields.keys()].map((name) => [name, textOf(fields, name)])
      return Object.fromEntries(texts.filter(([, one]) => one !== ''))
    },
  }
}

/** @param {string} name @param {string} label @param {HTMLElement} control */
function labelled(name, label, control) {
  return h('p.field', {}, h('label', { for: `filter-${name}` }, label), control)
}

/** What a filter leaves, in words. @param {Filter} filter */
export function nameOf({ ad_account_id: id, status, test, reason, event_name: name, event_id, order_id }) {
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
