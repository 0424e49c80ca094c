/** Questions that the page asks: native dialogs, which keep the focus and close with Escape. */
import { fill, h } from './dom.js'
import { isLoggedIn, logIn } from './session.js'

/** How each form asks for the admin token. @type {WeakMap<Element, (onGivenUp: () => void) => void>} */
const askers = new WeakMap()

/**
 * Asks in the form that is open, so that what was typed there is not lost with the session. False where none is open.
 * @param {() => void} onGivenUp when the form was left without a login
 */
export function askForToken(onGivenUp) {
  const ask = askers.get([...document.querySelectorAll('dialog')].at(-1) ?? document.body)
  ask?.(onGivenUp)
  return ask !== undefined
}

/**
 * A form in a dialog. `send` gets its fields; what it throws is shown, and the dialog stays.
 * @param {object} options
 * @param {string} options.title
 * @param {(Node | string)[]} options.content
 * @param {string} options.button
 * @param {boolean} [options.isDangerous]
 * @param {(fields: FormData) => Promise<void>} options.send
 */
export function openForm({ title, content, button, isDangerous = false, send }) {
  const problem = h('p.problem', { role: 'alert' })
  const token = field('Admin token', {
    name: 'admin_token',
    type: 'password',
    autocomplete: 'current-password',
  })
  const submit = h(isDangerous ? 'button.danger' : 'button.main', { type: 'submit' }, button)
  const form = /** @type {HTMLFormElement} */ (
    h(
      'form',
      { method: 'dialog', autocomplete: 'off' },
      h('h2', { id: 'dialog-title' }, title),
      ...content,
      problem,
      h('div.actions', {}, submit, h('button', { type: 'button', onclick: () => end(dialog) }, 'Cancel')),
    )
  )
  const dialog = openDialog(form)
  askers.set(dialog, (onGivenUp) => {
    if (token.isConnected) return
    problem.after(token)
    fill(problem, 'Your session ended; nothing was changed. Continue with the admin token.')
    token.querySelector('input')?.focus()
    dialog.addEventListener('close', () => {
      if (!isLoggedIn()) onGivenUp()
    })
  })

  /** @param {FormData} fields */
  async function logInAndSend(fields) {
    if (token.isConnected && !isLoggedIn()) await logIn(textOf(fields, 'admin_token'))
    token.remove()
    await send(fields)
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    fill(problem)
    Object.assign(submit, { disabled: true })
    const wasAsked = token.isConnected
    logInAndSend(new FormData(form)).then(
      () => end(dialog),
      (/** @type {Error} */ error) => {
        // Otherwise the form says what happened.
        if (wasAsked || !token.isConnected) fill(problem, error.message)
        Object.assign(submit, { disabled: false })
      },
    )
  })
}

/** @param {string} title @param {...(Node | string)} content */
export function openNotice(title, ...content) {
  const dialog = openDialog(
    h(
      'div',
      {},
      h('h2', { id: 'dialog-title' }, title),
      ...content,
      h('div.actions', {}, h('button.main', { type: 'button', onclick: () => end(dialog) }, 'Close')),
    ),
  )
}

/** Questions of a page that was left. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll('dialog')) end(dialog)
}

/** Gone at once, with what it showed: its close event comes later. @param {HTMLDialogElement} dialog */
function end(dialog) {
  dialog.close()
  dialog.remove()
}

/** @param {Node} content */
function openDialog(content) {
  const dialog = /** @type {HTMLDialogElement} */ (
    h('dialog', { 'aria-labelledby': 'dialog-title' }, content)
  )
  dialog.addEventListener('close', () => dialog.remove())
  document.body.append(dialog)
  dialog.showModal()
  return dialog
}

/**
 * A labelled field, of several lines where it has `rows`. `properties.name` is what `FormData` calls it.
 * @param {string} label
 * @param {import('./dom.js').Properties} properties
 * @param {string} [hint]
 */
export function field(label, properties, hint) {
  const id = `field-${String(properties['name'])}`
  const control = properties['options']
    ? h(
        'select',
        { id, name: properties['name'] },
        ...String(properties['options'])
          .split('|')
          .map((option) => {
            const [value = '', text = value] = option.split('=')
            return h('option', { value, selected: value === properties['value'] }, text)
          }),
      )
    : h(properties['rows'] ? 'textarea' : 'input', {
        id,
        spellcheck: 'false',
        ...properties,
        ...(hint && { 'aria-describedby': `${id}-hint` }),
      })
  return h(
    'p.field',
    {},
    h('label', { for: id }, label),
    control,
    hint ? h('small', { id: `${id}-hint` }, hint) : null,
  )
}

/** What a text field holds, without what surrounds it. @param {FormData} fields @param {string} name */
export function textOf(fields, name) {
  const value = fields.get(name)
  return typeof value === 'string' ? value.trim() : ''
}
