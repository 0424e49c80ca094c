/** Sources: shops whose webhooks the relay takes, the address to give to each, and what became of the last ones. */
import { cell, factList, fill, h, row, speak, table, timeOf, word } from './dom.js'
import { button, removal } from './actions.js'
import { field, openForm, openNotice, textOf } from './dialogs.js'
import { count, time } from './format.js'
import { createMore } from './more.js'
import { ask } from './session.js'

const KINDS = 'shopify=Shopify|woocommerce=WooCommerce|custom=Another shop (JSONata)'
/** What needs a person. */
const BAD = new Set(['invalid', 'refused', 'rejected', 'expired'])

/** @returns {import('./main.js').View} */
export function createSources() {
  const list = h('div.cards')
  /** @type {any[]} */
  let sources = []
  const more = createMore('newest', () => render())
  const note = h('p.quiet', { role: 'status' })
  const element = h(
    'div',
    {},
    h(
      'div.bar',
      {},
      note,
      h('button', { type: 'button', onclick: () => void load() }, 'Refresh'),
      h('button.main', { type: 'button', onclick: () => openSet(undefined) }, 'Connect a shop'),
    ),
    list,
    more.element,
  )

  function render() {
    fill(list, ...more.take(sources).map(showSource))
  }

  async function load() {
    try {
      sources = (await ask('GET', '/sources')).sources
      sources.sort((one, other) => other.secret_set_at.localeCompare(one.secret_set_at))
      render()
      fill(
        note,
        sources.length === 0
          ? 'No source yet. A shop connects with its own webhooks, without a program in between.'
          : `${count(sources.length)} ${sources.length === 1 ? 'source' : 'sources'}`,
      )
    } catch (error) {
      fill(note, /** @type {Error} */ (error).message)
    }
  }

  /** @param {any} source */
  function showSource(source) {
    const { id, label, kind, ad_account_id: account, path, webhooks } = source
    const name = label || id
    return h(
      'article.card',
      { 'aria-label': name },
      h('h2', {}, name),
      factList([
        ['Kind', `${kind}${source.test ? ', test events only' : ''}`],
        ['Ad account', account],
        ['Path', h('code', {}, path)],
        [
          'Secret',
          `set ${time(source.secret_set_at)}${source.previous_secret ? '; the one before it is valid, too' : ''}`,
        ],
      ]),
      ...source.problems.map((/** @type {string} */ problem) => h('p.problem', {}, problem)),
      showWebhooks(name, webhooks),
      h(
        'div.actions',
        {},
        button('Change or rotate', name, async () => openSet(source)),
        source.previous_secret &&
          button('Drop the old secret', name, () =>
            ask('PUT', `/sources/${id}`, { drop_previous_secret: true }).then(load),
          ),
        h('a', { href: `#/events?source=${id}` }, 'Events'),
        removal({
          name,
          what: id,
          path: `/sources/${id}`,
          effect: 'Its webhooks get 404 from then on, and the shop may switch them off.',
          afterwards: load,
        }),
      ),
    )
  }

  /** @param {any} [known] undefined: a new one */
  function openSet(known) {
    const isNew = known === undefined
    openForm({
      title: isNew ? 'Connect a shop' : `Change ${known.id}`,
      content: [
        isNew
          ? field(
              'Name in the address',
              { name: 'id', required: true, pattern: '[a-z0-9\\-]{1,64}' },
              'a to z, digits and dashes. Not easy to guess, such as my-shop-7f3a91.',
            )
          : '',
        isNew ? field('Shop', { name: 'kind', options: KINDS }) : '',
        field(
          'Ad account',
          {
            name: 'ad_account_id',
            required: true,
            inputmode: 'numeric',
            pattern: '\\d{1,18}',
            value: known?.ad_account_id ?? '',
          },
          'Its number in Ads Manager; it is registered already.',
        ),
        field(
          'Secret',
          { name: 'secret', type: 'password', autocomplete: 'off', minlength: 8, required: isNew },
          isNew
            ? 'What the shop signs its webhooks with. Shopify shows it below the list of webhooks; for WooCommerce make one up.'
            : 'Empty: the secret stays. A new one: the old one stays valid until it is dropped.',
        ),
        field('Label', { name: 'label', maxlength: 200, value: known?.label ?? '' }),
        isNew || known.kind === 'custom'
          ? field(
              'Header of the signature',
              { name: 'header', value: known?.signature?.header ?? '' },
              'Only for another shop: hex of HMAC-SHA256. The relay command sets other forms.',
            )
          : '',
        isNew || known.kind === 'custom'
          ? field(
              'Expression',
              { name: 'expression', rows: 6, value: known?.expression ?? '' },
              'Only for another shop: JSONata.',
            )
          : '',
      ],
      button: isNew ? 'Connect' : 'Change',
      async send(fields) {
        const given = Object.fromEntries(
          ['kind', 'ad_account_id', 'secret', 'label', 'expression']
            .map((name) => [name, textOf(fields, name)])
            .filter(([name, value]) => value !== '' || (name === 'label' && !isNew)),
        )
        const header = textOf(fields, 'header')
        const signature =
          header === '' || header === known?.signature?.header ? {} : { signature: { header } }
        const source = await ask('PUT', `/sources/${known?.id ?? textOf(fields, 'id')}`, {
          ...given,
          ...signature,
        })
        speak([`${source.id} is ${isNew ? 'connected' : 'changed'}.`, ...source.problems].join(' '))
        await load()
        if (isNew) showAddress(source)
      },
    })
  }

  void load()
  return { element, close() {} }
}

/** @param {string} name @param {any[]} webhooks */
function showWebhooks(name, webhooks) {
  if (webhooks.length === 0) return h('p.quiet', {}, 'No webhook came since the relay started.')
  const body = h('tbody')
  fill(
    body,
    ...webhooks.map(({ at, topic, outcome, reason, events, delivery_id: delivery }) =>
      row(
        cell('Time', timeOf(at)),
        cell('Topic', word(topic ?? '–')),
        cell('Delivery', delivery ?? '–'),
        cell('Events', count(events)),
        cell('Outcome', h('span.state', { 'data-state': BAD.has(outcome) ? 'bad' : 'good' }, outcome)),
        cell('Why', word(reason ?? '–')),
      ),
    ),
  )
  return table(`Last webhooks of ${name}`, ['Time', 'Topic', 'Delivery', 'Events', 'Outcome', 'Why'], body)
}

/** @param {{ path: string, set_up: string }} source */
function showAddress({ path, set_up: setUp }) {
  openNotice(
    'Give this address to the shop',
    h('p', {}, h('code.secret', { tabindex: 0 }, `https://YOUR-RELAY${path}`)),
    h('p.quiet', {}, 'In place of YOUR-RELAY: the name under which the internet reaches the public port.'),
    h('p', {}, setUp),
  )
}
