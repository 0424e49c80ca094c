/** Dead letters one by one, and in groups of one cause. What they hold is hashes and reasons. */
import { cell, factList, fill, h, row, table, timeOf } from './dom.js'
import { button } from './actions.js'
import { count, time } from './format.js'

/**
 * @typedef {{
 *   id: number, ad_account_id: string, is_test: boolean, event_name: string, event_id: string | null, status: string,
 *   reason: string, message: string, attempts: number, first_seen_at: string, died_at: string,
 *   history: { at: string, reason: string }[],
 * }} DeadLetter
 * @typedef {{
 *   status: string, reason: string, message: string, dead_letters: number, accounts: number, too_old: number,
 *   newest_died_at: string,
 * }} Group
 */

const GROUPS_SHOWN = 20

/** @param {(group: Group) => Promise<void>} choose */
export function createGroups(choose) {
  const body = h('tbody')
  const note = h('p.quiet')
  const element = h(
    'section',
    { 'aria-labelledby': 'groups' },
    h('h2', { id: 'groups' }, 'Causes'),
    note,
    table('Groups', ['Dead letters', 'Reason', 'Message', 'Accounts', 'Newest', 'Action'], body),
  )
  element.hidden = true
  return {
    element,
    /** @param {{ groups: Group[], dead_letters: number, next_cursor: string | null }} answer */
    set({ groups, dead_letters: counted, next_cursor: next }) {
      element.hidden = groups.length === 0
      const more = groups.length - GROUPS_SHOWN
      fill(
        note,
        `${count(counted)} by reason and message${next === null ? '' : ': the newest, there are more'}.`,
        more > 0 && ` ${count(more)} smaller groups are not shown.`,
      )
      fill(body, ...groups.slice(0, GROUPS_SHOWN).map((group) => showGroup(group, choose)))
    },
  }
}

/** @param {Group} group @param {(group: Group) => Promise<void>} choose */
function showGroup(group, choose) {
  const { status, reason, message, dead_letters: number, too_old: tooOld } = group
  return row(
    cell('Dead letters', count(number), tooOld > 0 && h('small', {}, `${count(tooOld)} too old to replay`)),
    cell('Reason', h('span.state', { 'data-state': colorOf(status) }, reason)),
    cell('Message', h('span.message', {}, message || 'Pinterest gave no reason.')),
    cell('Accounts', count(group.accounts)),
    cell('Newest', timeOf(group.newest_died_at)),
    cell(
      'Action',
      button('Choose', `${reason}: ${message}`, () => choose(group)),
    ),
  )
}

/**
 * @param {DeadLetter} deadLetter
 * @param {boolean} isChosen
 * @param {(id: number, isChosen: boolean) => void} choose
 */
export function showDeadLetter(deadLetter, isChosen, choose) {
  const name = `${deadLetter.event_name} ${deadLetter.event_id ?? 'without an id'}`
  const { ad_account_id: id, is_test: isTest, history } = deadLetter
  return h(
    'article.dead_letter',
    { 'aria-label': name },
    h('input', {
      type: 'checkbox',
      checked: isChosen,
      'aria-label': `Choose ${name}`,
      onchange: (event) => choose(deadLetter.id, event.target.checked),
    }),
    h(
      'details',
      {},
      h(
        'summary',
        {},
        h('b', {}, deadLetter.event_name),
        ' ',
        h('code', {}, deadLetter.event_id ?? '–'),
        ' ',
        h('span.state', { 'data-state': colorOf(deadLetter.status) }, deadLetter.reason),
        ' ',
        h('small', {}, `${id}${isTest ? ', test' : ''}, ${time(deadLetter.died_at)}`),
        h('span.message', {}, deadLetter.message || 'Pinterest gave no reason.'),
      ),
      factList([
        ['Status', deadLetter.status],
        ['Attempts', count(deadLetter.attempts)],
        ['First seen', time(deadLetter.first_seen_at)],
        ['Died', time(deadLetter.died_at)],
      ]),
      history.length > 0 &&
        h(
          'ol',
          { 'aria-label': 'History' },
          ...history.map(({ at, reason }) => h('li', {}, `${time(at)}: `, h('code', {}, reason))),
        ),
    ),
  )
}

/** @param {string} status */
function colorOf(status) {
  return status === 'expired' ? 'waits' : 'bad'
}
