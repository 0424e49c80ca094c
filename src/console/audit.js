/** Audit: what was changed through the admin port, newest first. */
import { cell, fill, h, row, table, timeOf } from './dom.js'
import { count } from './format.js'
import { ask } from './session.js'

const PAGE = 50

/** @returns {import('./main.js').View} */
export function createAudit() {
  const body = h('tbody')
  const note = h('p.quiet', { role: 'status' })
  const more = h('button', { type: 'button', onclick: () => void load() }, 'Show more')
  more.hidden = true
  const element = h('div', {}, note, table('Audit', ['When', 'What', 'Details'], body), more)
  /** @type {string | null} */
  let cursor = null
  let isLoading = false

  async function load() {
    if (isLoading) return
    isLoading = true
    try {
      const answer = await ask('GET', `/audit?limit=${PAGE}${cursor === null ? '' : `&cursor=${cursor}`}`)
      body.append(...answer.entries.map(showEntry))
      cursor = answer.next_cursor
      more.hidden = cursor === null
      const shown = body.childElementCount
      fill(
        note,
        shown === 0
          ? 'Nothing was changed yet.'
          : `${count(shown)} entries${cursor === null ? '' : ', and more'}.`,
      )
    } catch (error) {
      fill(note, /** @type {Error} */ (error).message)
    } finally {
      isLoading = false
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
