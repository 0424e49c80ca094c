/** What a person can do about an account, as buttons; the same on every view. */
import { h, speak } from './dom.js'
import { field, openForm, openNotice, textOf } from './dialogs.js'
import { ask, isLoggedIn, Refusal } from './session.js'

/**
 * @param {string} adAccountId
 * @param {'retry' | 'resume' | 'token' | 'consent' | 'verify' | null} action as the status of a queue or account has it
 * @param {() => Promise<void>} afterwards
 */
export function act(adAccountId, action, afterwards) {
  switch (action) {
    case 'retry':
      // A change of nothing has its queues tried. It leaves a pause that somebody else began meanwhile.
      return button('Try now', adAccountId, () => ask('PUT', `/accounts/${adAccountId}`, {}).then(afterwards))
    case 'resume':
      return button('Resume', adAccountId, () => setPaused(adAccountId, false).then(afterwards))
    case 'token':
      return button('Give a new token', adAccountId, async () => openTokenForm(adAccountId, afterwards))
    case 'consent':
      return h('a', { href: `/accounts/${adAccountId}/authorize` }, 'Consent again')
    case 'verify':
      return button('Verify', adAccountId, () => verify(adAccountId).then(afterwards))
    case null:
      return null
  }
}

/**
 * @param {string} text
 * @param {string} about whose button it is, for screen readers; empty where there is only one
 * @param {() => Promise<void>} run
 */
export function button(text, about, run) {
  const element = h(
    'button',
    { type: 'button', ...(about !== '' && { 'aria-label': `${text}: ${about}` }) },
    text,
  )
  element.addEventListener('click', () => {
    element.setAttribute('aria-busy', 'true')
    run()
      .catch((/** @type {Error} */ error) => {
        if (isLoggedIn()) openNotice('That did not work', h('p', {}, error.message))
      })
      .finally(() => element.removeAttribute('aria-busy'))
  })
  return element
}

/** @param {string} adAccountId @param {boolean} isPaused */
export async function setPaused(adAccountId, isPaused) {
  await ask('POST', `/accounts/${adAccountId}/${isPaused ? 'pause' : 'resume'}`)
  speak(`${adAccountId} is ${isPaused ? 'paused' : 'resumed'}.`)
}

/** @param {string} adAccountId */
export async function verify(adAccountId) {
  const { works, status, message } = await ask('POST', `/accounts/${adAccountId}/verify`)
  openNotice(
    works ? 'The token works' : 'The token does not work',
    h(
      'p',
      {},
      works
        ? 'Pinterest took a test event, which it does not record.'
        : message || 'Pinterest did not say why.',
    ),
    h(
      'p.quiet',
      {},
      status === null || status === undefined ? 'No answer came.' : `Pinterest answered ${status}.`,
    ),
  )
}

/**
 * A button that removes something once a person has confirmed it.
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.path of the admin port
 * @param {string} options.effect what comes of it
 * @param {() => Promise<void>} options.afterwards
 * @param {string} [options.what] in words
 */
export function removal({ name, path, effect, afterwards, what = name }) {
  return button('Remove', name, async () =>
    openForm({
      title: `Remove ${what}?`,
      content: [h('p', {}, effect)],
      button: 'Remove',
      isDangerous: true,
      async send() {
        await ask('DELETE', path)
        speak(`Removed: ${what}.`)
        await afterwards()
      },
    }),
  )
}

/**
 * @typedef {{
 *   label: string, country: string | null, dob_format: string | null, bots: string, posts_per_minute: number | null,
 * }} Settings
 */

/**
 * Registers an account, or changes one: a token that is left empty stays as it is.
 * @param {string | undefined} adAccountId undefined: a new one
 * @param {Settings | undefined} known its settings; undefined: a new one
 * @param {() => Promise<void>} afterwards
 */
export function openAccountForm(adAccountId, known, afterwards) {
  const isNew = adAccountId === undefined
  const forcing = createForcing()
  openForm({
    title: isNew ? 'Register an account' : `Change ${adAccountId}`,
    content: [
      isNew
        ? field(
            'Ad account',
            { name: 'id', required: true, inputmode: 'numeric', pattern: '\\d{1,18}' },
            'Its number in Ads Manager.',
          )
        : '',
      ...tokenFields(isNew ? TOKEN_HINT : 'Empty: the token stays.'),
      field('Label', { name: 'label', maxlength: 200, value: known?.label ?? '' }),
      field(
        'Country',
        { name: 'country', maxlength: 2, pattern: '[A-Za-z]{2}', value: known?.country ?? '' },
        'A code such as US: reads phone numbers and postcodes of events that name no country.',
      ),
      field('Dates of birth', {
        name: 'dob_format',
        value: known?.dob_format ?? '',
        options: '=not known|DMY=day first|MDY=month first',
      }),
      field('Events of bots', {
        name: 'bots',
        value: known?.bots ?? 'send',
        options: 'send=are sent|filter=are filtered',
      }),
      field(
        'Posts per minute',
        {
          name: 'posts_per_minute',
          type: 'number',
          min: 0,
          max: 1_000_000,
          value: known?.posts_per_minute ?? '',
        },
        'Empty: the default. 0: no limit.',
      ),
      forcing.element,
    ],
    button: isNew ? 'Register' : 'Change',
    async send(fields) {
      const text = (/** @type {string} */ name) => textOf(fields, name)
      const id = adAccountId ?? text('id')
      const account = await forcing.put(id, { ...readSettings(text, isNew), ...readToken(text) })
      speak(`${id} is ${isNew ? 'registered' : 'changed'}.`)
      await afterwards()
      askForConsent(id, account.token)
    },
  })
}

/** Only the token: the settings of the account stay as they are. @param {string} id @param {() => Promise<void>} afterwards */
function openTokenForm(id, afterwards) {
  const forcing = createForcing()
  openForm({
    title: `Give ${id} a new token`,
    content: [...tokenFields(TOKEN_HINT), forcing.element],
    button: 'Change',
    async send(fields) {
      const token = readToken((name) => textOf(fields, name))
      if (Object.keys(token).length === 0) throw new Error('Give an access token, or fill in OAuth.')
      const account = await forcing.put(id, token)
      speak(`${id} has a new token.`)
      await afterwards()
      askForConsent(id, account.token)
    },
  })
}

/** After Pinterest refused a token: a person may set it all the same. */
function createForcing() {
  const box = /** @type {HTMLInputElement} */ (h('input', { id: 'field-force', type: 'checkbox' }))
  const element = h(
    'p',
    { hidden: true },
    box,
    ' ',
    h('label', { for: 'field-force' }, 'Set the refused token all the same'),
  )
  return {
    element,
    /** @param {string} id @param {object} account @returns {Promise<any>} */
    async put(id, account) {
      try {
        return await ask('PUT', `/accounts/${id}`, { ...account, ...(box.checked && { force: true }) })
      } catch (error) {
        if (error instanceof Refusal && error.code === 'TOKEN_REFUSED' && 'access_token' in account)
          element.hidden = false
        throw error
      }
    },
  }
}

const TOKEN_HINT = 'A conversion token. Or leave it empty and fill in the app below.'

/** @param {string} hint */
function tokenFields(hint) {
  return [
    field('Access token', { name: 'access_token', type: 'password', autocomplete: 'off' }, hint),
    h(
      'details',
      {},
      h('summary', {}, 'OAuth instead of a token'),
      field('Client id', { name: 'client_id' }, 'Of your app at Pinterest.'),
      field('Client secret', { name: 'client_secret', type: 'password', autocomplete: 'off' }),
      field(
        'Refresh token',
        { name: 'refresh_token', type: 'password', autocomplete: 'off' },
        'Empty: consent in the browser afterwards.',
      ),
    ),
  ]
}

/** @param {string} id @param {{ kind: string }} token */
function askForConsent(id, { kind }) {
  if (kind !== 'none') return
  openNotice(
    'Consent is missing',
    h('p', {}, 'Nothing is sent before somebody consents at Pinterest.'),
    h('p', {}, h('a', { href: `/accounts/${id}/authorize` }, 'Consent now')),
  )
}

/** @param {(name: string) => string} text @param {boolean} isNew */
function readSettings(text, isNew) {
  const settings = {
    label: text('label') || null,
    country: text('country') || null,
    dob_format: text('dob_format') || null,
    bots: text('bots'),
    posts_per_minute: text('posts_per_minute') === '' ? null : Number(text('posts_per_minute')),
  }
  return isNew ? Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null)) : settings
}

/** @param {(name: string) => string} text */
function readToken(text) {
  if (text('access_token')) return { access_token: text('access_token') }
  const names = ['client_id', 'client_secret', 'refresh_token']
  const oauth = Object.fromEntries(names.flatMap((name) => (text(name) ? [[name, text(name)]] : [])))
  return Object.keys(oauth).length > 0 ? { oauth } : {}
}
