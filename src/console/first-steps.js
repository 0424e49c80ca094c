/** What a new relay needs, step by step, until each was done once: an account, a key or a source, a test event. */
import { fill, h } from './dom.js'
import { ask } from './session.js'

export function createFirstSteps() {
  const element = h('section.card', { 'aria-labelledby': 'first-steps' })
  element.hidden = true

  return {
    element,
    /** @param {readonly any[]} accounts */
    async refresh(accounts) {
      const [{ keys }, { sources }, { received }] = await Promise.all(
        ['/keys', '/sources', '/totals'].map((path) => ask('GET', path)),
      )
      const isConnected = keys.length > 0 || sources.length > 0
      const [id = '549755885175'] = accounts.map((account) => account.ad_account_id)
      element.hidden = accounts.length > 0 && isConnected && received > 0
      if (element.hidden) return
      fill(
        element,
        h('h2', { id: 'first-steps' }, 'First steps'),
        h(
          'ol',
          {},
          step(
            accounts.length > 0,
            'Register an ad account with its conversion token: the button above. Ads Manager makes the token: Conversions, Conversions API, Set up API, Generate new token.',
          ),
          step(
            isConnected,
            h('a', { href: '#/keys' }, 'Make a key'),
            ' for a storefront, or ',
            h('a', { href: '#/sources' }, 'connect a shop'),
            '.',
          ),
          step(
            received > 0,
            'Post a test event with the key, to the public port, or place a test order in the shop:',
            h('pre', { tabindex: 0 }, testPost(id)),
            'Explain, in the menu, shows what Pinterest would get for an event, without sending it.',
          ),
        ),
      )
    },
  }
}

/** @param {boolean} isDone @param {...import('./dom.js').Child} content */
function step(isDone, ...content) {
  return h(
    'li',
    {},
    h('span.state', { 'data-state': isDone ? 'good' : 'waits' }, isDone ? 'done' : 'to do'),
    ' ',
    ...content,
  )
}

/** @param {string} id */
function testPost(id) {
  return `curl "$RELAY_URL/v5/ad_accounts/${id}/events?test=true" \\
  -H "Authorization: Bearer $RELAY_KEY" -H 'Content-Type: application/json' \\
  -d '{"data": [{"event_name": "checkout", "action_source": "web", "event_time": '$(date +%s)',
       "event_id": "order-1", "user_data": {"em": "person@example.com"}}]}'`
}
