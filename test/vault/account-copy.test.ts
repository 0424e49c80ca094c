import { randomBytes } from 'node:crypto'
import t from 'tap'
import { adoptAccount, copyAccount } from '../../src/vault/account-copy.ts'
import { applyChange, EMPTY_STATE, type AccountRecord, type GrantRecord } from '../../src/vault/records.ts'
import type { Change, RelayKey, SourceRecord } from '../../src/vault/records.ts'
import { createSealer } from '../../src/vault/seal.ts'

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)]
const oldCell = createSealer({ current: oldKey })
const newCell = createSealer({ current: newKey, previous: oldKey })
const account = (adAccountId: string, more: object = {}) => {
  const settings = {
    adAccountId,
    label: 'shop',
    isPaused: false,
    tokenKind: 'given',
    grantId: undefined,
    ...more,
  }
  return ['account', adAccountId, { account: settings, token: 'pina_1' } as AccountRecord] as const
}
const grant = (issuedAtMs: number, refreshToken: string, askedAtMs?: number) => {
  const record = { grant: { grantId: 'g', clientId: 'app', issuedAtMs, askedAtMs }, pair: { refreshToken } }
  return ['grant', 'g', record as GrantRecord] as const
}
const client = ['client', 'app', { clientId: 'app', clientSecret: 's' }] as const
const key = (adAccountIds: readonly string[]) =>
  ['key', 'hash', { keyId: 'k', label: 'shop', adAccountIds } as RelayKey] as const
const stateOf = (...change: Change) => applyChange(EMPTY_STATE, change)
const onGrant = { tokenKind: 'oauth', grantId: 'g', clientId: 'app' }

t.test('a copy has the token and who may post, and the account is paused where it arrives', async (t) => {
  const sealed = copyAccount(stateOf(account('1'), account('2'), key(['1', '2'])), '1', oldCell)!
  t.notMatch(Buffer.from(sealed, 'base64').toString('latin1'), /pina_1|hash|shop/)
  const there = stateOf(account('3'), key(['3']))
  const after = applyChange(there, adoptAccount(there, '1', sealed, newCell))
  t.match(after.account.get('1'), { token: 'pina_1', account: { isPaused: true, label: 'shop' } })
  t.strictSame(after.key.get('hash')?.adAccountIds, ['3', '1'], 'a key has accounts of several cells')
  t.notOk(after.account.has('2'))
})

t.test('a copy is for its account, and for who knows the master key', async (t) => {
  const sealed = copyAccount(stateOf(account('1'), account('2')), '1', oldCell)!
  t.throws(() => adoptAccount(EMPTY_STATE, '2', sealed, newCell), { code: 'INVALID_REQUEST' })
  const stranger = createSealer({ current: randomBytes(32) })
  t.throws(() => adoptAccount(EMPTY_STATE, '1', sealed, stranger), { code: 'INVALID_REQUEST' })
  t.equal(copyAccount(EMPTY_STATE, '1', oldCell), undefined)
})

t.test('a grant goes along, and the newer pair of two cells stays', async (t) => {
  const copyOf = (issuedAtMs: number, refreshToken: string) =>
    copyAccount(stateOf(account('1', onGrant), grant(issuedAtMs, refreshToken), client), '1', oldCell)!
  const adopt = (there: Parameters<typeof adoptAccount>[0], copy: string) =>
    applyChange(there, adoptAccount(there, '1', copy, newCell))
  const first = adopt(EMPTY_STATE, copyOf(1, 'a'))
  t.match(first.grant.get('g'), { pair: { refreshToken: 'a' } })
  t.match(first.client.get('app'), { clientSecret: 's' })
  const refreshedThere = adopt(first, copyOf(3, 'b'))
  t.match(refreshedThere.grant.get('g'), { pair: { refreshToken: 'b' } })
  t.match(adopt(refreshedThere, copyOf(2, 'old')).grant.get('g'), { pair: { refreshToken: 'b' } })
})

t.test('a copy does not replace the secret of an app that other accounts use where it arrives', async (t) => {
  const copy = copyAccount(stateOf(account('1', onGrant), grant(1, 'a'), client), '1', oldCell)!
  const newer = ['client', 'app', { clientId: 'app', clientSecret: 'newer' }] as const
  const secretIn = (there: Parameters<typeof adoptAccount>[0]) =>
    applyChange(there, adoptAccount(there, '1', copy, newCell)).client.get('app')?.clientSecret
  t.equal(secretIn(stateOf(newer, account('2', { clientId: 'app' }))), 'newer')
  t.equal(secretIn(stateOf(newer, account('1', { clientId: 'app' }))), 's', 'of the account alone it does')
})

t.test('a grant that other accounts use, or that is being refreshed, does not go along', async (t) => {
  const shared = stateOf(account('1', onGrant), account('2', onGrant), grant(1, 'a'), client)
  t.throws(() => copyAccount(shared, '1', oldCell), { code: 'NO_GRANT' })
  const minted = applyChange(shared, [account('1', { ...onGrant, tokenKind: 'conversion' })])
  const after = applyChange(
    EMPTY_STATE,
    adoptAccount(EMPTY_STATE, '1', copyAccount(minted, '1', oldCell)!, newCell),
  )
  t.match(after.account.get('1'), { token: 'pina_1', account: { grantId: undefined } })
  t.equal(after.grant.size, 0)
  const asked = stateOf(account('1', onGrant), grant(1, 'a', 5), client)
  t.throws(() => copyAccount(asked, '1', oldCell), { code: 'NO_GRANT' })
})

t.test("a copy does not take a source that is another account's where it arrives", (t) => {
  const source = (adAccountId: string) =>
    [
      'source',
      'web-shop',
      { source: { sourceId: 'web-shop', adAccountId }, secrets: [] } as unknown as SourceRecord,
    ] as const
  const sealed = copyAccount(stateOf(account('1'), source('1')), '1', oldCell)!
  const adopt = (there: Parameters<typeof adoptAccount>[0]) => adoptAccount(there, '1', sealed, newCell)
  t.throws(() => adopt(stateOf(account('2'), source('2'))), { code: 'INVALID_REQUEST', message: /web-shop/ })
  t.ok(applyChange(EMPTY_STATE, adopt(stateOf(account('1'), source('1')))).source.has('web-shop'), 'again')
  t.end()
})
