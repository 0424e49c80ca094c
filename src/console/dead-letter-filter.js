/** The form that says which dead letters are listed, counted, replayed and purged. */
import { filterChoice, filterField, filterQueue, h } from './dom.js'
import { textOf } from './dialogs.js'
import { accountField } from './account-field.js'

/** @typedef {Record<string, string>} Filter */

/** @param {URLSearchParams} query @param {() => void} onSubmit */
export function createFilter(query, onSubmit) {
  const text = (/** @type {string} */ name, /** @type {string} */ label) =>
    filterField(name, label, query.get(name))
  const account = accountField('Ad account', {
    id: 'filter-ad_account_id',
    name: 'ad_account_id',
    value: query.get('ad_account_id') ?? '',
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
      filterChoice('status', 'Status', query.get('status'), [
        ['', 'any'],
        ['rejected', 'rejected'],
        ['expired', 'expired'],
      ]),
      filterQueue(query.get('test')),
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
