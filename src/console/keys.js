/** Relay keys: what storefronts post with. A key is shown once, when it is made. */
import { cell, fill, h, row, speak, table } from './dom.js'
import { button } from './actions.js'
import { field, openForm, openNotice, textOf } from './dialogs.js'
import { time } from './format.js'
import { ask } from './session.js'

/** @returns {import('./main.js').View} */
export function createKeys() {
  const body = h('tbody')
  const note = h('p.quiet', { role: 'status' })
  const element = h(
    'div',
    {},
    h('div.bar', {}, note, h('button.main', { type: 'button', onclick: openMake }, 'Make a key')),
    table('Relay keys', ['Label', 'Ad accounts', 'Made', 'Action'], body),
  )

  async function load() {
    try {
      const { keys } = await ask('GET', '/keys')
      fill(body, ...keys.map(showKey))
      fill(note, keys.length === 0 ? 'No key yet. A storefront posts with one as its access token.' : '')
    } catch (error) {
      fill(note, /** @type {Error} */ (error).message)
    }
  }

  /** @param {{ id: string, label: string, ad_account_ids: string[], created_at: string }} key */
  function showKey(key) {
    return row(
      cell('Label', key.label),
      cell('Ad accounts', key.ad_account_ids.join(', ')),
      cell('Made', time(key.created_at)),
      cell(
        'Action',
        button('Remove', key.label, async () => openRemove(key.id, key.label)),
      ),
    )
  }

  function openMake() {
    openForm({
      title: 'Make a relay key',
      content: [
        field('Label', { name: 'label', required: true, maxlength: 200 }, 'Who posts with it.'),
        field(
          'Ad accounts',
          { name: 'ids', required: true, pattern: '[\\d,\\s]+' },
          'Their numbers, with commas between.',
        ),
      ],
      button: 'Make',
      async send(fields) {
        const ids = textOf(fields, 'ids')
          .split(/[,\s]+/)
          .filter((id) => id !== '')
        const made = await ask('POST', '/keys', { label: textOf(fields, 'label'), ad_account_ids: ids })
        await load()
        showOnce(made.key)
      },
    })
  }

  /** @param {string} id @param {string} label */
  function openRemove(id, label) {
    openForm({
      title: `Remove the key ${label}?`,
      content: [h('p', {}, 'Whoever posts with it gets 401 from then on.')],
      button: 'Remove',
      isDangerous: true,
      async send() {
        await ask('DELETE', `/keys/${id}`)
        speak(`The key ${label} is removed.`)
        await load()
      },
    })
  }

  void load()
  return { element, close() {} }
}

/** @param {string} key */
function showOnce(key) {
  const copy = h('button', { type: 'button' }, 'Copy')
  copy.addEventListener('click', () => {
    navigator.clipboard.writeText(key).then(
      () => speak('Copied.'),
      () => speak('It could not be copied: select it.'),
    )
  })
  openNotice(
    'The key, shown this once',
    h('p', {}, h('code.secret', { tabindex: 0 }, key), ' ', copy),
    h('p.quiet', {}, 'The relay keeps only its hash. Lost keys are replaced, not found again.'),
  )
}
