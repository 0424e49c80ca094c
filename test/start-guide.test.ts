import t from 'tap'
import { readSettings } from '../src/settings.ts'
import { guideOf, renderGuide } from '../src/start-guide.ts'
import { ADMIN_TOKEN } from './support/constants.ts'
import { setUp } from './support/relay.ts'

const relay = { publicUrl: 'http://127.0.0.1:8080', adminUrl: 'http://127.0.0.1:8081', hasAccounts: false }

t.test('a first start names the console, the place of its token and the next step', async (t) => {
  const settings = readSettings({ DATABASE_URL: 'sqlite:./data/relay.db' })
  const guide = guideOf(relay, settings)
  t.strictSame(guide, {
    console: 'http://127.0.0.1:8081/',
    admin_token_in: 'data/relay.admin-token',
    posts_to: 'http://127.0.0.1:8080/v5/ad_accounts/AD_ACCOUNT_ID/events',
    next: 'npm run relay -- init',
  })
  const shown = renderGuide(guide)
  for (const text of Object.values(guide)) t.match(shown, text)
  t.equal(guideOf(relay, settings, 'c0ffee').next, 'docker exec -it c0ffee relay init')
})

t.test('a later start has no next step, and a token that is given is not shown', async (t) => {
  const settings = readSettings({ ADMIN_TOKEN, ADMIN_PUBLIC_URL: 'https://relay.example' })
  const guide = guideOf({ ...relay, hasAccounts: true }, settings, 'c0ffee')
  t.match(guide, { console: 'https://relay.example/', admin_token_in: 'ADMIN_TOKEN', next: undefined })
  t.notMatch(renderGuide(guide), /init|undefined/)
  t.notMatch(renderGuide(guide), ADMIN_TOKEN)
})

t.test('an address that this machine does not have is named with its settings', (t) =>
  t.rejects(setUp(t, { HOST: '2001:db8::1', PORT: '1' }), {
    code: 'CANNOT_LISTEN',
    message: /^HOST, PORT: this machine cannot listen at \[2001:db8::1\]:1 \(E\w+\)\.$/,
  }),
)
