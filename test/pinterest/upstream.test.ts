import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createUpstream } from '../../src/pinterest/upstream.ts'
import { readSettings } from '../../src/settings.ts'

t.test('of an answer with informational ones before it, the last one counts', async (t) => {
  const server = createServer((_request, response) => {
    response.writeEarlyHints({ link: '</x>; rel=preload', 'retry-after': '9' })
    response.writeHead(200).end('{}')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const settings = readSettings({ PINTEREST_API_URL: `http://127.0.0.1:${port}/v5` })
  const upstream = createUpstream({ settings, userAgent: 'test' }, { answerBytes: 1000, connections: 1 })
  t.teardown(() => upstream.close())
  for (const path of ['/one', '/two'])
    t.same(await upstream.ask({ method: 'GET', path, headers: {} }), {
      kind: 'answered',
      status: 200,
      retryAfter: undefined,
      text: '{}',
    })
})
