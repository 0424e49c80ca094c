/** Pinterest's answers about tokens, as they are read from the wire. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createPinterestOauth } from '../../src/pinterest/oauth.ts'
import { readSettings } from '../../src/settings.ts'

const CLIENT = { clientId: 'app', clientSecret: 'the-secret-of-the-app' }
const NOW_MS = 1_000_000

async function answering(t: Test, status: number, body: object) {
  const server = createServer((_request, response) => response.writeHead(status).end(JSON.stringify(body)))
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const settings = readSettings({ PINTEREST_API_URL: `http://127.0.0.1:${port}/v5` })
  const oauth = createPinterestOauth({ settings, userAgent: 'test', now: () => NOW_MS })
  t.teardown(async () => {
    await oauth.close()
    await new Promise((resolve) => server.close(resolve))
  })
  return oauth
}

t.test('Pinterest may keep the same refresh token, but has to give one for a code', async (t) => {
  const pair = { access_token: 'pina_access_2', scope: 'ads:write', expires_in: 60 }
  const oauth = await answering(t, 200, pair)
  t.strictSame(await oauth.refresh(CLIENT, 'pinr_refresh_1', 'ads:write'), {
    kind: 'granted',
    value: {
      accessToken: 'pina_access_2',
      refreshToken: 'pinr_refresh_1',
      scope: 'ads:write',
      issuedAtMs: NOW_MS,
      expiresAtMs: NOW_MS + 60_000,
      refreshExpiresAtMs: undefined,
    },
  })
  t.strictSame(await oauth.exchangeCode(CLIENT, 'the-code', 'http://127.0.0.1/'), {
    kind: 'failed',
    reason: 'answer_without_promised_fields',
    isAnswerLost: true,
  })
})

t.test('a refusal that quotes the header of the request does not give the secret away', async (t) => {
  const credentials = Buffer.from(`${CLIENT.clientId}:${CLIENT.clientSecret}`).toString('base64')
  const oauth = await answering(t, 400, { code: 1, message: `refused: Basic ${credentials}` })
  t.match(await oauth.refresh(CLIENT, 'the-token-0123', ''), { message: 'refused: Basic [removed]' })
})

t.test('what a refusal quotes of the request is removed from it', async (t) => {
  const message = 'no: the-secret-of-the-app, the-token-0123 and the-code-0123'
  const oauth = await answering(t, 400, { code: 1, message })
  const said = async (asked: ReturnType<typeof oauth.refresh | typeof oauth.mintConversionToken>) => {
    const answer = await asked
    t.match(answer, { kind: 'refused', status: 400 })
    return answer.kind === 'refused' && answer.message
  }
  t.equal(
    await said(oauth.refresh(CLIENT, 'the-token-0123', '')),
    'no: [removed], [removed] and the-code-0123',
  )
  t.equal(
    await said(oauth.exchangeCode(CLIENT, 'the-code-0123', 'http://127.0.0.1/')),
    'no: [removed], the-token-0123 and [removed]',
  )
  const withToken = 'no: the-secret-of-the-app, [removed] and the-code-0123'
  t.equal(await said(oauth.mintConversionToken('the-token-0123')), withToken)
  t.match(await oauth.qualityScores('the-token-0123', '1'), { message: withToken })
})
