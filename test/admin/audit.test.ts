import assert from 'node:assert/strict'
import t from 'tap'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, enter, setUp, TOKEN, type Guest } from '../support/relay.ts'

interface Entry {
  readonly id: number
  readonly at: string
  readonly action: string
  readonly details: Readonly<Record<string, unknown>>
}

async function trail({ admin }: Guest, query = ''): Promise<{ entries: Entry[]; cursor: string | null }> {
  const { status, body } = await admin('GET', `/audit${query}`)
  assert.equal(status, 200)
  return { entries: body['entries'] as Entry[], cursor: body['next_cursor'] as string | null }
}

const actionsOf = (entries: readonly Entry[]) => entries.map(({ action }) => action)

t.test('whatever changes something is audited, by route and id, and never with its body', async (t) => {
  const stand = await enter(t)
  const { admin } = stand
  const [before] = (await trail(stand)).entries
  const secret = 'pina_second_token_0002'
  await admin('PUT', '/accounts/1', { access_token: secret, label: 'secret-label' })
  await admin('PUT', '/accounts/1', { access_token: `${secret}_forced`, force: true })
  await admin('POST', '/accounts/1/pause')
  await admin('POST', '/accounts/1/resume')
  const made = (await admin('POST', '/keys', { label: 'secret-label', ad_account_ids: ['1'] })).body
  await admin('DELETE', `/keys/${String(made['id'])}`)
  await admin('POST', '/reseal')
  await admin('DELETE', '/accounts/1')

  const { entries: all } = await trail(stand)
  const entries = all.filter(({ id }) => id > before!.id)
  t.strictSame(
    entries.map(({ action, details }) => [action, details]),
    [
      ['DELETE /accounts/:id', { ad_account_id: '1', status: 204 }],
      ['POST /reseal', { status: 200 }],
      ['DELETE /keys/:key_id', { key_id: made['id'], status: 204 }],
      ['POST /keys', { key_id: made['id'], status: 201 }],
      ['POST /accounts/:id/resume', { ad_account_id: '1', status: 200 }],
      ['POST /accounts/:id/pause', { ad_account_id: '1', status: 200 }],
      ['PUT /accounts/:id', { ad_account_id: '1', status: 200, force: true }],
      ['PUT /accounts/:id', { ad_account_id: '1', status: 201 }],
    ],
  )
  const text = JSON.stringify(entries)
  for (const value of [secret, TOKEN, String(made['key']), stand.relayKey, 'secret-label'])
    t.notMatch(text, value)
  for (const { at } of entries) t.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000)
})

t.test('that a backup took the master key along is audited', async (t) => {
  const stand = await setUp(t)
  const backUp = (name: string, more: object) =>
    stand.admin('POST', '/backup', { folder: `${stand.folder}/${name}`, ...more })
  await backUp('without', {})
  await backUp('with', { with_master_key: true })
  const { entries } = await trail(stand, '?limit=2')
  t.strictSame(
    entries.map(({ details }) => details),
    [{ status: 200, with_master_key: true }, { status: 200 }],
  )
})

t.test('what only reads, or was refused, is not audited', async (t) => {
  const stand = await enter(t)
  const { account } = stand
  const before = (await trail(stand)).entries
  await stand.admin('GET', `/totals?ad_account_id=${account}`)
  await stand.admin('POST', `/accounts/${account}/verify`)
  await stand.admin('POST', '/accounts/404/pause')
  await stand.admin('DELETE', '/keys/none')
  await stand.admin('PUT', '/accounts/1', {})
  await stand.admin('POST', '/nothing')
  await fetch(`${stand.relay.adminUrl}/accounts/1`, { method: 'DELETE' })
  await fetch(`${stand.relay.adminUrl}/totals`, { method: 'HEAD' })
  t.strictSame((await trail(stand)).entries, before)
})

t.test(
  'a replay and a purge are two entries each, however many steps they take, the second with the counts',
  async (t) => {
    const stand = await enter(t)
    const { account } = stand
    stand.sandbox.faults.set([{ kind: 'failEvents' }])
    for (let post = 0; post < 3; post++) {
      await stand.post({ data: Array.from({ length: 150 }, () => rawEvent()) }, { query: '?test=true' })
    }
    stand.sandbox.faults.clear()
    await stand.admin('POST', '/dead-letters/replay', {
      filter: { ad_account_id: account, test: true },
      limit: 440,
    })
    await stand.admin('POST', '/dead-letters/purge', { filter: {} })
    const { entries } = await trail(stand, '?limit=4')
    const asked = { ad_account_id: account, test: true }
    t.strictSame(
      entries.map(({ action, details }) => [action, details]),
      [
        ['purged', { purged: 10 }],
        ['purge', {}],
        ['replayed', { ...asked, replayed: 440, duplicates: 0, too_old: 0 }],
        ['replay', asked],
      ],
    )
  },
)

t.test('the trail is read page by page', async (t) => {
  const stand = await setUp(t)
  await stand.admin('POST', `/accounts/${ACCOUNT}/pause`)
  const first = await trail(stand, '?limit=2')
  t.strictSame(actionsOf(first.entries), ['POST /accounts/:id/pause', 'POST /keys'])
  const second = await trail(stand, `?limit=2&cursor=${first.cursor}`)
  t.strictSame(actionsOf(second.entries), ['PUT /accounts/:id'])
  t.equal(second.cursor, null)
  t.equal((await stand.admin('GET', '/audit?limit=x')).status, 400)
})
