/** Audit: what was changed through the admin port, newest first. */
import { cell, fill, filterField, h, row, table, timeOf } from './dom.js'
import { textOf } from './dialogs.js'
import { count } from './format.js'
import { ask } from './session.js'

const PAGE = 50

/** @returns {import('./main.js').View} */
export function createAudit() {
  const body = h('tbody')
  const note = h('p.quiet', { role: 'status' })
  const more = h('button', { type: 'button', onclick: () => void load() }, 'Show more')
  more.hidden = true
  const form = /** @type {HTMLFormElement} */ (
    h(
      'form.bar',
      {
        'aria-label': 'Find changes',
        onsubmit(event) {
          event.preventDefault()
          id = textOf(new FormData(form), 'id')
          fill(body)
          cursor = null
          loading = undefined
          void load()
        },
      },
      filterField('id', 'Erased, replayed or purged by event id or order id', null, 36),
      h('button.main', { type: 'submit' }, 'Find'),
    )
  )
  const element = h('div', {}, form, note, table('Audit', ['When', 'What', 'Details'], body), more)
  /** Of the list: what was typed since is not applied yet. */
  let id = ''
  /** @type {string | null} */
  let cursor = null
  /** An answer that was overtaken by another question is thrown away. @type {object | undefined} */
  let loading

  async function load() {
    if (loading !== undefined) return
    const mine = (loading = {})
    try {
      const query = new URLSearchParams({
        limit: String(PAGE),
        ...(cursor !== null && { cursor }),
        ...(id !== '' && { id }),
      })
      const answer = await ask('GET', `/audit?${query}`)
      if (loading !== mine) return
      body.append(...answer.entries.map(showEntry))
      cursor = answer.next_cursor
      more.hidden = cursor === null
      const shown = body.childElementCount
      fill(note, shown === 0 ? 'No entry.' : `${count(shown)} entries${cursor === null ? '' : ', and more'}.`)
    } catch (error) {
      if (loading === mine) fill(note, /** @type {Error} */ (error).message)
    } finally {
      if (loading === mine) loading = undefined
    }
  }

  void load()
  return { element, close() {} }
}

/** @param {{ at: string, action: string, details: Record<string, unknown> }} entry */
function showEntry({ at, action, details }) {
  const shown = Object.entries(details).map(
    ([name, value]) =>
      `${name.replaceAll('_', ' ')} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return row(cell('When', timeOf(at)), cell('What', h('code', {}, action)), cell('Details', shown.join(', ')))
}
