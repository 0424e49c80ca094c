/** Several replicas over one vault: each with a refresher of its own. */
import t from 'tap'
import { createManualClock, runDue, type ManualClock } from '../support/clock.ts'
import { createGranting } from '../../src/vault/granting.ts'
import { addGrant, CLIENT, createMemoryStore, DAY_MS, setStage, type MemoryStore } from './stage.ts'

/** What PostgreSQL does: fresh documents before each change, and one holder for each name. */
function seenBy(name: string, memory: MemoryStore, claims: Map<string, string>): MemoryStore {
  const { vaultStore } = memory
  return {
    ...memory,
    vaultStore: {
      ...vaultStore,
      async changeVault(decide) {
        const fresh = await vaultStore.readVault()
        await vaultStore.changeVault(() => decide(fresh))
      },
      async claim(grantId) {
        const holder = claims.get(grantId) ?? name
        claims.set(grantId, holder)
        return holder === name
      },
      async unclaim(grantId) {
        if (claims.get(grantId) === name) claims.delete(grantId)
      },
    },
  }
}

async function setReplicas() {
  const memory = createMemoryStore()
  const clock = createManualClock()
  const claims = new Map<string, string>()
  const one = await setStage(seenBy('one', memory, claims), clock)
  const grantId = await addGrant(one.vault, clock, ['1'])
  const two = await setStage(seenBy('two', memory, claims), clock)
  one.refresher.check()
  two.refresher.check()
  return { clock, one, two, grantId, claims }
}

/** As on a machine that sleeps for most of them: a refresher that is awake looks every 15 minutes. */
async function passDays(clock: ManualClock, days: number): Promise<void> {
  const awakeMs = 3600_000
  clock.setWall(clock.wallMs() + days * DAY_MS - awakeMs)
  await clock.advance(awakeMs)
}

t.test('a refresh token is used by one replica, and the other one finds the new pair', async (t) => {
  const { clock, one, two, claims } = await setReplicas()
  await passDays(clock, 24)
  const asked = () => [...one.asked, ...two.asked]
  t.equal(asked().length, 1)
  await clock.advance(10_000)
  t.equal(asked().length, 1, 'it waits for as long as the other one asks')
  await asked()[0]!.grant(2)
  await clock.advance(3000)
  t.equal(asked().length, 1)
  for (const { vault } of [one, two]) t.equal(vault.tokenOf('1'), 'pina_access_2')
  t.equal(claims.size, 0)
  await passDays(clock, 24)
  t.equal(asked().length, 2, 'the new pair is refreshed in its time')
})

t.test(
  'a pair that another replica renewed is not refreshed again when the news of it came first',
  async (t) => {
    const { clock, one, two } = await setReplicas()
    await passDays(clock, 24)
    const [holder, other] = one.asked.length > 0 ? [one, two] : [two, one]
    await holder.asked[0]!.grant(2)
    await other.vault.reload()
    await clock.advance(10_000)
    t.equal(other.asked.length, 0)
  },
)

t.test('a replica that fails leaves the refresh to whoever comes next', async (t) => {
  const { clock, one, two } = await setReplicas()
  await passDays(clock, 24)
  const [holder] = one.asked.length > 0 ? [one] : [two]
  await holder.asked[0]!.answer({ kind: 'failed', reason: 'status_503', isAnswerLost: false })
  await clock.advance(60_000)
  t.ok(one.asked.length + two.asked.length >= 2)
})

t.test('a token that Pinterest refused is renewed soon after the replica that asked has died', async (t) => {
  const { clock, one, two, grantId, claims } = await setReplicas()
  one.refresher.accessRefused(grantId)
  await runDue()
  t.equal(one.asked.length, 1)
  two.refresher.accessRefused(grantId)
  await runDue()
  await clock.advance(15_000)
  t.equal(two.asked.length, 0)
  claims.clear()
  await clock.advance(10_000)
  t.equal(two.asked.length, 1)
  await two.asked[0]!.grant(2)
  await clock.advance(60_000)
  t.equal(two.asked.length, 1)
  t.equal(two.vault.tokenOf('1'), 'pina_access_2')
})

t.test('a token that another replica renewed after a refusal is not renewed again', async (t) => {
  const { clock, one, two, grantId } = await setReplicas()
  await clock.advance(1000)
  one.refresher.accessRefused(grantId)
  two.refresher.accessRefused(grantId)
  await runDue()
  const [holder, other] = one.asked.length > 0 ? [one, two] : [two, one]
  await holder.asked[0]!.grant(2)
  await other.vault.reload()
  await clock.advance(60_000)
  t.equal(one.asked.length + two.asked.length, 1)
})

t.test('a refresh token that replicas are given at the same time is used by one of them', async (t) => {
  const { one, two, claims } = await setReplicas()
  const verify = async () => ({ works: true, isRefused: false, status: 200, message: '' })
  const unused = () => Promise.reject(new Error('unused'))
  const given = { kind: 'refresh_token', client: CLIENT, refreshToken: 'pinr_of_both' } as const
  const put = (stage: typeof one, adAccountId: string) => {
    const oauth = { ...stage.oauth, exchangeCode: unused, mintConversionToken: unused }
    return createGranting({ ...stage, oauth, verify }).putAccount({ adAccountId }, given)
  }
  const first = put(one, '7')
  await runDue()
  await t.rejects(put(two, '8'), { code: 'PINTEREST_UNAVAILABLE', message: /another replica/ })
  await one.asked[0]!.grant(5)
  t.equal(await first, 'added')
  t.equal(await put(two, '8'), 'added', 'it finds the grant')
  t.equal(one.asked.length + two.asked.length, 1)
  await one.vault.reload()
  for (const id of ['7', '8']) t.equal(one.vault.tokenOf(id), 'pina_access_5')
  t.equal(claims.size, 0)
})

t.test('a claim whose answer was lost is given back', async (t) => {
  const { one, claims } = await setReplicas()
  const unused = () => Promise.reject(new Error('unused'))
  const claim = async (name: string) => {
    claims.set(name, 'one')
    throw Object.assign(new Error('connection lost'), { code: 'STORE_UNAVAILABLE' })
  }
  const oauth = { ...one.oauth, exchangeCode: unused, mintConversionToken: unused }
  const granting = createGranting({ ...one, vault: { ...one.vault, claim }, oauth, verify: unused })
  const given = { kind: 'refresh_token', client: CLIENT, refreshToken: 'pinr_given' } as const
  await t.rejects(granting.putAccount({ adAccountId: '7' }, given), { code: 'STORE_UNAVAILABLE' })
  t.equal(claims.size, 0)
})
