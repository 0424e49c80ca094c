import t from 'tap'
import { createCommandLine } from '../cli/stage.ts'
import { rawEvent } from '../support/events.ts'
import { enter } from '../support/relay.ts'

t.test(
  'what a storefront sends is shown per event name, with what to improve; test events do not count',
  async (t) => {
    const stand = await enter(t)
    const { account } = stand
    const { admin, post } = stand
    t.match((await admin('GET', '/match-quality')).body, { hours: 24, rows: { length: 0 } })
    const poor = () =>
      rawEvent({
        event_name: 'signup',
        user_data: {
          em: 'n/a',
          client_ip_address: '203.0.113.7',
          client_user_agent: 'Mozilla/5.0 (X11; Linux x86_64)',
        },
      })
    await post({ data: [rawEvent(), ...Array.from({ length: 30 }, poor)] })
    await post({ data: [rawEvent()] }, { query: '?test=true' })
    const { body } = await admin('GET', `/match-quality?ad_account_id=${account}&hours=2`)
    t.match(body, {
      hours: 2,
      columns: [
        { name: 'em', label: 'E-mail', is_bad: false },
        ...Array.from({ length: 6 }, () => ({ name: String })),
        { name: 'filtered', is_bad: true },
        { name: 'invalid', is_bad: true },
      ],
      rows: [
        {
          ad_account_id: account,
          event_name: 'signup',
          events: 30,
          shares: { em: 0, ip_and_user_agent: 1, warned: 1, invalid: 0 },
          top_warnings: [{ code: 'placeholder', count: 30 }],
          advice: [{ code: 'send_em' }],
        },
        { event_name: 'checkout', events: 1, shares: { em: 1 }, advice: { length: 0 } },
      ],
    })
    t.notMatch(JSON.stringify(body), /example\.com|203\.0/)
    for (const query of ['hours=0', 'hours=25', 'hours=x', 'day=1']) {
      t.equal((await admin('GET', `/match-quality?${query}`)).status, 400, query)
    }
    const shown = await createCommandLine(stand)('quality --hours 1')
    t.match(shown, { code: 0, stdout: new RegExp(`${account} +signup +30 +0 %`) })
    t.match(shown.stdout, `${account} signup: None has the e-mail address`)
    await admin('DELETE', `/accounts/${account}`)
    t.same((await admin('GET', '/match-quality')).body['rows'], [])
  },
)
