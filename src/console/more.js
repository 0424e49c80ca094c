/** A long table in parts: nobody reads a thousand rows, and on a phone each is a card. */
import { h, setText } from './dom.js'
import { count } from './format.js'

const SHOWN = 20
const MORE = 100

/** The first rows, and the others on demand. @param {string} which @param {() => void} refresh */
export function createMore(which, refresh) {
  let most = SHOWN
  const note = h('span.quiet')
  const more = h('button', { type: 'button' }, `Show ${MORE} more`)
  more.addEventListener('click', () => {
    most += MORE
    refresh()
  })
  const element = h('div.actions', { hidden: true }, note, more)
  return {
    element,
    /** @template Row @param {readonly Row[]} rows @returns {readonly Row[]} */
    take(rows) {
      element.hidden = rows.length <= SHOWN
      more.hidden = rows.length <= most
      setText(note, `The ${count(Math.min(most, rows.length))} ${which} of ${count(rows.length)}.`)
      return rows.slice(0, most)
    },
  }
}
