/** Every route of the admin port is described, and what it answers is what its description says. */
import t, { type Test } from 'tap'
import { Validator } from '@seriousme/openapi-schema-validator'
import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { ruleOfPattern } from '../../src/admin/answers.ts'
import { makeHistory } from '../console/stage.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, ADMIN_TOKEN, enter, postHeld, setUp, type Guest } from '../support/relay.ts'

interface Operation {
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: TSchema }>> }>
  >
}

interface Described {
  readonly servers: readonly object[]
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly operationId: string
            readonly requestBody?: {
              readonly content: Readonly<
                Record<
                  string,
                  { readonly schema: TSchema & { examples?: unknown[] }; readonly example?: unknown }
                >
              >
            }
          }
        >
      >
    >
  >
}

async function readDocument(stand: Guest, path = '/openapi.json') {
  const { body } = await stand.admin('GET', path)
  return body as unknown as { paths: Record<string, Record<string, Operation>> }
}

/** Asks, and holds the answer against its description. */
function createTour(t: Test, stand: Guest, { paths }: Awaited<ReturnType<typeof readDocument>>) {
  const visited = new Set<string>()
  async function visit(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const url = new URL(stand.relay.adminUrl + path)
    const template = Object.keys(paths)
      .toSorted((one, other) => one.split('{').length - other.split('{').length)
      .find((one) => new RegExp(`^${one.replace(/\{\w+\}/g, '[^/]+')}$`).test(url.pathname))
    const operation = paths[template ?? '']?.[method.toLowerCase()]
    if (operation === undefined) throw new Error(`${method} ${path} is not described`)
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const { status } = response
    const name = `${method} ${template} ${status}`
    const described = operation.responses[status] ?? operation.responses[status >= 400 ? '4XX' : '']
    t.ok(described, `${name} is described`)
    const text = await response.text()
    const schema = Object.values(described?.content ?? {})[0]?.schema
    const isJson = (response.headers.get('content-type') ?? '').startsWith('application/json')
    const answer: unknown = isJson ? JSON.parse(text) : text
    if (schema !== undefined && text !== '') {
      t.same([...Value.Errors(schema, answer)].map((error) => error.message).slice(0, 3), [], name)
    }
    if (status < 400) visited.add(`${method} ${template}`)
    return answer as Record<string, unknown>
  }
  return { visit, visited }
}

t.test('both documents are valid OpenAPI, and every operation says what it does', async (t) => {
  const stand = await enter(t)
  for (const path of ['/openapi.json', '/openapi/public.json']) {
    const document = await readDocument(stand, path)
    const { valid, errors } = await new Validator().validate(structuredClone(document))
    t.ok(valid, `${path}: ${JSON.stringify(errors)}`)
    for (const [route, methods] of Object.entries(document.paths)) {
      for (const [method, { summary, responses }] of Object.entries(methods)) {
        t.match(summary, /^[A-Z].*[^.]$/, `${method} ${route} has a summary`)
        t.ok(Object.keys(responses).length > 0)
      }
    }
  }
  t.notMatch(
    JSON.stringify(await readDocument(stand)),
    '/console/',
    "the console's own files are no interface",
  )
})

t.test('every operation has an id, every body an example that the relay takes', async (t) => {
  const stand = await enter(t)
  for (const path of ['/openapi/public.json', '/openapi.json']) {
    const document = (await readDocument(stand, path)) as unknown as Described
    t.match(document.servers, [{ url: '{origin}', variables: { origin: { default: /^http:/ } } }])
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods))
    const ids = operations.map(({ operationId }) => operationId)
    t.ok(
      ids.every((id) => /^[a-z][A-Za-z/]+$/.test(id)),
      ids.join(),
    )
    t.equal(new Set(ids).size, ids.length, 'each its own')
    for (const { operationId, requestBody } of operations) {
      for (const { schema, example = schema.examples?.[0] } of Object.values(requestBody?.content ?? {})) {
        t.ok(example, `${operationId} has an example`)
        if (path === '/openapi.json') t.same([...Value.Errors(schema, example)], [], operationId)
      }
    }
  }
  const { paths } = (await readDocument(stand, '/openapi/public.json')) as unknown as Described
  const content = paths['/v5/ad_accounts/{ad_account_id}/events']!['post']!.requestBody!.content
  const { data } = content['application/json']!.example as { data: object[] }
  const now = { event_time: Math.floor(Date.now() / 1000) }
  t.match(await stand.post({ data: data.map((event) => ({ ...event, ...now })) }), { status: 200 })
})

t.test('of each pattern of a request a refusal says in words what is wanted', async (t) => {
  const stand = await enter(t)
  const patterns = new Set<string>()
  JSON.stringify(await readDocument(stand), (name, value: unknown) => {
    if (name === 'pattern' && typeof value === 'string') patterns.add(value)
    return value
  })
  t.ok(patterns.size > 10)
  for (const pattern of patterns) t.match(ruleOfPattern(pattern), /^(must|is) /, pattern)
})

t.test('DOCS_OPEN opens the description of the public port, and nothing else', async (t) => {
  const stand = await setUp(t, { DOCS_OPEN: 'true' })
  const get = async (path: string) => (await fetch(stand.relay.adminUrl + path)).status
  t.equal(await get('/openapi/public.json'), 200)
  t.equal(await get('/openapi.json'), 401)
  const closed = await enter(t)
  t.equal((await fetch(`${closed.relay.adminUrl}/openapi/public.json`)).status, 401)
})

t.test('what each route answers is what its description says', async (t) => {
  const stand = await setUp(t)
  const { visit, visited } = createTour(t, stand, await readDocument(stand))
  await makeHistory(stand, 5)
  await visit('PUT', `/accounts/7`, {
    access_token: 'pina_seven_0123456789',
    country: 'DE',
    dob_format: 'DMY',
  })
  await visit('PUT', `/accounts/7`, { label: 'seven', posts_per_minute: 10 })
  await visit('PUT', `/accounts/7`, { country: 'XX' })
  const { refreshToken } = stand.sandbox.grants.grant({ clientId: 'app' })
  const oauth = { client_id: 'app', client_secret: 'secret-of-the-app', refresh_token: refreshToken }
  await visit('PUT', '/accounts/8', { oauth })
  await visit('POST', '/accounts/8/conversion-token')
  await visit('POST', '/accounts/7/conversion-token')
  await visit('GET', '/accounts')
  await visit('GET', '/accounts/8')
  await visit('GET', '/accounts/404')
  await visit('GET', '/accounts/8/quality')
  await visit('GET', '/accounts/8/authorize')
  await visit('POST', '/accounts/7/pause')
  await visit('POST', '/accounts/7/resume')
  await visit('PUT', '/accounts/7/copy', await visit('GET', '/accounts/7/copy'))
  await visit('POST', '/accounts/7/resume')
  await visit('POST', '/accounts/7/verify')
  await visit('POST', '/session', { admin_token: ADMIN_TOKEN })
  await visit('GET', '/oauth/callback?state=x&code=y')
  const { id } = await visit('POST', '/keys', { label: 'k', ad_account_ids: ['7'] })
  await visit('POST', '/keys', { label: '' })
  await visit('GET', '/keys')
  await visit('DELETE', `/keys/${String(id)}`)
  const source = { kind: 'woocommerce', ad_account_id: '7', secret: 'a-secret-of-a-shop' }
  await visit('PUT', '/sources/shop', source)
  await visit('PUT', '/sources/shop', { consent: { limit: 'meta_data.consent' }, event_id: '{order_key}' })
  await visit('PUT', '/sources/shop', { kind: 'custom' })
  await fetch(`${stand.relay.publicUrl}/sources/shop`, { method: 'POST', body: 'webhook_id=1' })
  const signature = { header: 'X-Signature', timestamp_header: 'X-Time' }
  await visit('PUT', '/sources/own', { ...source, kind: 'custom', signature, expression: 'body' })
  t.match(await visit('GET', '/sources'), { sources: [{ webhooks: [{ outcome: 'ping' }] }, {}] })
  await visit('GET', '/sources/own')
  await visit('POST', '/explain?source=shop&topic=order.created', { id: 1, status: 'pending' })
  await visit('DELETE', '/sources/own')
  await visit('GET', '/match-quality')
  await visit('GET', '/volume')
  await visit('GET', '/totals')
  await visit('GET', '/events?limit=20')
  const following = visit('GET', '/events/live?limit=1')
  let isFollowed = false
  void following.finally(() => (isFollowed = true))
  while (!isFollowed) await stand.post({ data: [rawEvent()] })
  await following
  await visit('POST', '/events/erase', { order_id: 'none' })
  await visit('GET', '/dead-letters?limit=2')
  await visit('GET', '/dead-letters/groups')
  const deadLetters = await visit('GET', '/dead-letters')
  t.match(deadLetters, { dead_letters: { length: 5 } })
  await visit('POST', '/dead-letters/purge', { filter: { event_name: 'signup' }, limit: 1 })
  stand.sandbox.tokens.set([{ accessToken: 'pina_seven_0123456789' }])
  await visit('POST', '/dead-letters/replay', { filter: {} })
  await postHeld(stand, 'unauthorized')
  await visit('GET', `/accounts/${ACCOUNT}`)
  const live = await visit('GET', '/live')
  t.match(live, { queues: [{ status: 'unauthorized' }] })
  await visit('POST', '/explain?ad_account_id=7', {
    data: [rawEvent(), {}, { user_data: { em: ['', 'x'] } }],
  })
  await visit('POST', '/reseal')
  await visit('POST', '/recover', { file: 'relay.db.none' })
  await visit('POST', '/backup', { folder: `${t.testdir()}/backup` })
  await visit('POST', '/backup', { folder: 'relative' })
  await visit('GET', '/audit')
  await visit('GET', '/metrics')
  await visit('GET', '/openapi.json')
  await visit('GET', '/openapi/public.json')
  await visit('DELETE', '/accounts/7')
  await visit('GET', '/accounts', undefined, { authorization: 'Bearer none' })

  const { paths } = await readDocument(stand)
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  // Three need a browser's session (test/admin/oauth.test.ts), one a queue that broke (test/store/sqlite/damage.test.ts).
  const elsewhere = [
    'DELETE /session',
    'GET /accounts/{id}/authorize',
    'GET /oauth/callback',
    'POST /recover',
  ]
  t.strictSame(all.filter((name) => !visited.has(name)).toSorted(), elsewhere)
})
