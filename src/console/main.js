/** The page's frame: login, navigation by the address's fragment, and which view is shown. */
import { fill, h, speak } from './dom.js'
import { askForToken, closeDialogs } from './dialogs.js'
import { isLoggedIn, logIn, logOut, whenLoggedOut } from './session.js'
import { createAccounts } from './accounts.js'
import { createEvents } from './events.js'
import { createAudit } from './audit.js'
import { createExplain } from './explain.js'
import { createKeys } from './keys.js'
import { createDeadLetters } from './dead-letters.js'
import { createLive } from './live.js'
import { createQuality } from './quality.js'
import { createSources } from './sources.js'

/**
 * A view: it fills its element, and stops all that it began when it is closed.
 * @typedef {{ element: HTMLElement, close: () => void }} View
 */

/** @type {readonly { path: string, title: string, create: (query: URLSearchParams) => View }[]} */
const VIEWS = [
  { path: '', title: 'Live', create: createLive },
  { path: 'events', title: 'Events', create: createEvents },
  { path: 'accounts', title: 'Accounts', create: createAccounts },
  { path: 'keys', title: 'Keys', create: createKeys },
  { path: 'sources', title: 'Sources', create: createSources },
  { path: 'dead-letters', title: 'Dead letters', create: createDeadLetters },
  { path: 'explain', title: 'Explain', create: createExplain },
  { path: 'quality', title: 'Match quality', create: createQuality },
  { path: 'audit', title: 'Audit', create: createAudit },
]

const top = /** @type {HTMLElement} */ (document.getElementById('top'))
const main = /** @type {HTMLElement} */ (document.getElementById('main'))
/** @type {View | undefined} */
let view

/** @param {boolean} isMove the person went there: the focus goes along @param {string} [note] why a login is asked for */
function show(isMove, note) {
  view?.close()
  view = undefined
  closeDialogs()
  if (!isLoggedIn()) {
    showLogin(note)
    return
  }
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  const found = VIEWS.find((candidate) => candidate.path === path) ?? VIEWS[0]
  if (found === undefined) return
  fill(
    top,
    h(
      'a.brand',
      { href: '#/' },
      h('img', { src: '/console/icon.svg', alt: '', width: 24, height: 24 }),
      'Pinrelay',
    ),
    h(
      'nav',
      { 'aria-label': 'Views' },
      ...VIEWS.map(({ path: target, title }) =>
        h(
          'a',
          {
            href: `#/${target}`,
            'aria-current': target === found.path ? 'page' : undefined,
            // The address does not change then: shown anew.
            onclick: () => location.hash === `#/${target}` && show(true),
          },
          title,
        ),
      ),
    ),
    h('a', { href: '/docs' }, 'API'),
    h('button', { onclick: () => void logOut() }, 'Log out'),
  )
  document.title = `${found.title} – Pinrelay`
  view = found.create(new URLSearchParams(query))
  fill(main, h('h1', {}, found.title), view.element)
  if (isMove) {
    // Past the menu otherwise, which would be out of sight.
    main.focus({ preventScroll: true })
    scrollTo(0, 0)
  }
}

/** @param {string} [note] */
function showLogin(note) {
  document.title = 'Log in – Pinrelay'
  fill(top)
  const problem = h('p.problem', { role: 'alert' }, note)
  const token = /** @type {HTMLInputElement} */ (
    h('input', { id: 'admin-token', type: 'password', autocomplete: 'current-password', required: true })
  )
  const form = h(
    'form',
    {
      onsubmit(event) {
        event.preventDefault()
        logIn(token.value).then(
          () => {
            const [, path] = /^\?next=(\/accounts\/\d+\/authorize)$/.exec(location.search) ?? []
            if (path === undefined) show(true)
            // Back does not lead to a login that would go there again.
            else location.replace(path)
          },
          (/** @type {Error} */ error) => fill(problem, error.message),
        )
      },
    },
    // Password managers want a name to keep the token under.
    h('input', { type: 'text', autocomplete: 'username', value: 'admin', hidden: true }),
    h('p.field', {}, h('label', { for: 'admin-token' }, 'Admin token'), token),
    problem,
    h('div.actions', {}, h('button.main', { type: 'submit' }, 'Log in')),
    h(
      'p.quiet',
      {},
      'It is ADMIN_TOKEN, or in the file relay.admin-token beside the store. The page does not keep it; a session lasts twelve hours.',
    ),
  )
  fill(main, h('div.login', {}, h('h1', {}, 'Pinrelay'), form))
  token.focus()
}

/** Of several requests under way each ends the session: what is typed into the open form or the login stays. @param {string} [note] */
function loseSession(note) {
  const toLogin = () => show(false, note)
  if (view !== undefined && !askForToken(toLogin)) toLogin()
}
whenLoggedOut((isWanted) => {
  if (isWanted) {
    show(false)
    speak('Logged out.')
  } else loseSession('Your session ended; the last request changed nothing.')
})
addEventListener('hashchange', () => show(true))
// Another tab logged in or out.
addEventListener('storage', () => {
  if (!isLoggedIn()) loseSession()
  else if (view === undefined) show(false)
})
show(false)
