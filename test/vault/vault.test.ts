import t from 'tap'
import { addGrant, CLIENT, createMemoryStore, setStage } from './stage.ts'

t.test('a grant and its app stay while some account needs them, and go with the last', async (t) => {
  const { vault, clock, memory } = await setStage()
  await addGrant(vault, clock, ['1', '2'])
  await vault.deleteAccount('1')
  t.equal(memory.idsOf('grant').length, 1)
  await vault.putAccount({ adAccountId: '2', token: { kind: 'given', accessToken: 'pina_given' } })
  t.equal(memory.idsOf('grant').length, 0, 'a given token replaces the grant')
  t.equal(memory.idsOf('client').length, 1, 'its app asks for the next consent')
  await vault.deleteAccount('2')
  t.equal(memory.idsOf('client').length, 0)
})

t.test('a new consent serves the accounts that it is for, and leaves a minted token in use', async (t) => {
  const { vault, clock } = await setStage()
  const before = await addGrant(vault, clock, ['1', '2', '3'])
  await vault.putAccount({ adAccountId: '2', token: { kind: 'conversion', accessToken: 'pina_minted' } })
  const nowMs = clock.wallMs()
  const pair = {
    accessToken: 'pina_new',
    refreshToken: 'pinr_new',
    scope: 'ads:write',
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + 1,
    refreshExpiresAtMs: undefined,
  }
  await vault.addGrant({ client: CLIENT, pair }, ['1', '2', 'gone meanwhile'])
  t.strictSame(
    ['1', '2', '3'].map((id) => vault.tokenOf(id)),
    ['pina_new', 'pina_minted', 'pina_access_1'],
  )
  t.strictSame(vault.accountsOn(before), ['3'])
  t.strictSame(vault.accountsOn(vault.account('1')!.grantId!), ['1', '2'])
})

t.test('a grant that went while somebody asked to share it is reported', async (t) => {
  const { vault, clock } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  await vault.deleteAccount('1')
  await t.rejects(vault.putAccount({ adAccountId: '2', token: { kind: 'grant', grantId } }), {
    code: 'NO_GRANT',
  })
  t.equal(vault.account('2'), undefined)
})

t.test('what a change could not commit has not happened', async (t) => {
  const memory = createMemoryStore()
  const { vault, clock } = await setStage(memory)
  await addGrant(vault, clock, ['1'])
  memory.state.isBroken = true
  await t.rejects(vault.putAccount({ adAccountId: '1', token: { kind: 'given', accessToken: 'pina_given' } }))
  await t.rejects(vault.deleteAccount('1'))
  t.equal(vault.tokenOf('1'), 'pina_access_1')
  memory.state.isBroken = false
  t.ok(await vault.deleteAccount('1'), 'and the next change works')
})

t.test(
  'a grant takes the place of the token that was refused, not of the one that replaced it',
  async (t) => {
    const { vault, clock } = await setStage()
    const grantId = await addGrant(vault, clock, ['1'])
    const tokenAfter = async (refused: string) => {
      await vault.replaceByGrant('1', refused)
      return vault.tokenOf('1')
    }
    await vault.putAccount({ adAccountId: '1', token: { kind: 'conversion', accessToken: 'pina_new' } })
    t.equal(await tokenAfter('pina_old'), 'pina_new')
    t.not(await tokenAfter('pina_new'), 'pina_new')
    t.match(vault.account('1'), { tokenKind: 'oauth', grantId })
  },
)
