import t from 'tap'
import { runDue } from '../support/clock.ts'
import { addGrant, createMemoryStore, DAY_MS, pair, setStage } from './stage.ts'

const REFUSED = { kind: 'refused', status: 400, message: 'The grant was revoked' } as const
const DOWN = { kind: 'failed', reason: 'status_503', isAnswerLost: true } as const
const UNSENT = { kind: 'failed', reason: 'dns', isAnswerLost: false } as const

t.test('a grant is refreshed at four fifths of its life, and again at four fifths of the next', async (t) => {
  const { vault, clock, refresher, asked, outcomes } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  refresher.check()
  await clock.advance(23.3 * DAY_MS)
  t.equal(asked.length, 0)
  await clock.advance(0.7 * DAY_MS)
  t.match(asked, [{ refreshToken: 'pinr_refresh_1', clientSecret: 'client-secret-1', scope: /ads:write/ }])
  t.equal(vault.tokenOf('1'), 'pina_access_1', 'the old one serves until the new one is written')
  await asked[0]!.grant(2)
  t.equal(vault.tokenOf('1'), 'pina_access_2')
  t.strictSame(outcomes, ['renewed'])
  await clock.advance(23 * DAY_MS)
  t.equal(asked.length, 1)
  await clock.advance(DAY_MS)
  t.match(asked[1], { refreshToken: 'pinr_refresh_2' })
  t.equal(vault.grant(grantId)?.askedAtMs !== undefined, true)
})

t.test('a token that lives for seconds is not refreshed in a loop', async (t) => {
  const { vault, clock, refresher, asked } = await setStage()
  await addGrant(vault, clock, ['1'])
  refresher.check()
  await clock.advance(24 * DAY_MS)
  const nowMs = clock.wallMs()
  await asked[0]!.answer({ kind: 'granted', value: { ...pair(2, nowMs), expiresAtMs: nowMs + 1 } })
  await clock.advance(4 * 60_000)
  t.equal(asked.length, 1)
  await clock.advance(2 * 60_000)
  t.equal(asked.length, 2)
})

t.test('however many accounts and queues ask, one refresh token is used once', async (t) => {
  const { vault, clock, refresher, asked } = await setStage()
  const grantId = await addGrant(vault, clock, ['1', '2', '3'])
  refresher.check()
  for (let n = 0; n < 10; n++) refresher.accessRefused(grantId)
  const joined = Promise.all([refresher.refresh(grantId), refresher.refresh(grantId)])
  await clock.advance(25 * DAY_MS)
  t.equal(asked.length, 1)
  await asked[0]!.grant(2)
  t.same(await joined, [{ kind: 'renewed' }, { kind: 'renewed' }])
  for (const id of ['1', '2', '3']) t.equal(vault.tokenOf(id), 'pina_access_2', 'rotated once for all')
})

t.test('a 401 asks at once, but not again for a token that was just given', async (t) => {
  const { vault, clock, refresher, asked } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  refresher.check()
  refresher.accessRefused(grantId)
  await runDue()
  await asked[0]!.grant(2)
  refresher.accessRefused(grantId)
  await clock.advance(4 * 60_000)
  refresher.accessRefused(grantId)
  await runDue()
  t.equal(asked.length, 1)
  await clock.advance(2 * 60_000)
  refresher.accessRefused(grantId)
  await runDue()
  t.equal(asked.length, 2)
})

t.test(
  'a refusal is reported once an hour at most, and ends by itself when Pinterest changes its mind',
  async (t) => {
    const { vault, clock, refresher, asked, outcomes, logLines } = await setStage()
    const grantId = await addGrant(vault, clock, ['1', '2'])
    refresher.check()
    refresher.accessRefused(grantId)
    await runDue()
    await asked[0]!.answer(REFUSED)
    t.match(vault.grant(grantId), { failure: { isRefused: true, reason: '400 The grant was revoked' } })
    t.equal(vault.tokenOf('1'), 'pina_access_1', 'it is used for as long as Pinterest takes it')
    t.equal(logLines.filter((line) => /"reason":"reauthorize"/.test(line)).length, 2, 'one line per account')
    for (let n = 0; n < 5; n++) refresher.accessRefused(grantId)
    await clock.advance(40 * 60_000)
    t.equal(asked.length, 1)
    await clock.advance(40 * 60_000)
    t.equal(asked.length, 2)
    await asked[1]!.grant(2)
    t.match(vault.grant(grantId), { failure: undefined })
    t.strictSame(outcomes, ['refused', 'renewed'])
  },
)

t.test('temporary failures back off to a quarter of an hour, and the token in use stays', async (t) => {
  const { vault, clock, refresher, asked } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  refresher.check()
  await clock.advance(24 * DAY_MS)
  const pauses: number[] = []
  for (let n = 0; n < 14; n++) {
    const answeredMs = clock.wallMs()
    await asked.at(-1)!.answer(n % 2 === 0 ? DOWN : UNSENT)
    refresher.accessRefused(grantId)
    const count = asked.length
    while (asked.length === count) await clock.advance(10_000)
    pauses.push(asked.at(-1)!.askedAtMs - answeredMs)
  }
  t.ok(pauses[0]! < 5500 && pauses.at(-1)! <= 15 * 60_000, pauses.join())
  t.ok(pauses.at(-1)! > 10 * 60_000)
  t.equal(vault.tokenOf('1'), 'pina_access_1')
  t.match(vault.grant(grantId)?.failure, { reason: /status_503|dns/ })
  await asked.at(-1)!.grant(2)
  t.equal(vault.tokenOf('1'), 'pina_access_2')
})

t.test('nothing is asked while the vault cannot be written: the answer could not be kept', async (t) => {
  const { vault, clock, refresher, asked, memory } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  memory.state.isBroken = true
  t.same(await refresher.refresh(grantId), { kind: 'unwritable' })
  await clock.advance(5000)
  refresher.accessRefused(grantId)
  await runDue()
  t.equal(asked.length, 0)
  memory.state.isBroken = false
  await clock.advance(10_000)
  t.equal(asked.length, 1)
})

t.test('a pair that cannot be written is kept until it can be, and is not used before', async (t) => {
  const { vault, clock, refresher, asked, memory } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  const refreshed = refresher.refresh(grantId)
  await runDue()
  memory.state.isBroken = true
  await asked[0]!.grant(2)
  await clock.advance(3500)
  t.equal(vault.tokenOf('1'), 'pina_access_1')
  memory.state.isBroken = false
  await clock.advance(1000)
  t.same(await refreshed, { kind: 'renewed' })
  t.equal(vault.tokenOf('1'), 'pina_access_2')
})

t.test('a clock that was just set renews no token, but one that Pinterest refuses is renewed', async (t) => {
  const { vault, clock, refresher, asked, trust } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  refresher.check()
  const beforeMs = clock.wallMs()
  clock.setWall(beforeMs + 29 * DAY_MS)
  trust.isClockTrusted = false
  await clock.advance(60 * 60_000)
  t.equal(asked.length, 0, 'it only looks old')
  refresher.accessRefused(grantId)
  await runDue()
  t.equal(asked.length, 1)
  await asked[0]!.answer(UNSENT)
  await clock.advance(10_000)
  t.equal(asked.length, 2, 'what failed is tried again')
  await asked[1]!.grant(2)
  trust.isClockTrusted = true
  await clock.advance(60 * 60_000)
  t.equal(asked.length, 2)
})

t.test('a token whose time has come in doubt is renewed when the clock is believed again', async (t) => {
  const { vault, clock, refresher, asked, trust } = await setStage()
  await addGrant(vault, clock, ['1'])
  refresher.check()
  trust.isClockTrusted = false
  await clock.advance(24 * DAY_MS)
  t.equal(asked.length, 0)
  trust.isClockTrusted = true
  await clock.advance(16 * 60_000)
  t.equal(asked.length, 1)
})

t.test('the pause after a failure does not grow when the clock is set back', async (t) => {
  for (const answer of [UNSENT, REFUSED]) {
    const { vault, clock, refresher, asked } = await setStage()
    const grantId = await addGrant(vault, clock, ['1'])
    refresher.check()
    refresher.accessRefused(grantId)
    await runDue()
    await asked[0]!.answer(answer)
    clock.setWall(clock.wallMs() - 365 * DAY_MS)
    t.ok(refresher.nextRefreshAtMs(grantId)! <= clock.wallMs() + 75 * 60_000)
    await clock.advance(76 * 60_000)
    t.equal(asked.length, 2, answer.kind)
  }
})

/** The next process over what this one left. */
async function restart(
  memory: ReturnType<typeof createMemoryStore>,
  clock: Awaited<ReturnType<typeof setStage>>['clock'],
) {
  const next = await setStage(memory, clock)
  next.refresher.check()
  await runDue()
  return next
}

t.test(
  'killed before the question is written: the old pair is good, and asked for when it is due',
  async (t) => {
    const { vault, clock, memory } = await setStage()
    await addGrant(vault, clock, ['1'])
    const next = await restart(memory, clock)
    t.equal(next.asked.length, 0)
    await clock.advance(24 * DAY_MS)
    t.match(next.asked, [{ refreshToken: 'pinr_refresh_1' }])
  },
)

t.test(
  'killed with the question under way: the next process asks at once, and reports the result',
  async (t) => {
    for (const [name, isUsedUp] of [
      ['Pinterest never got it', false],
      ['its answer was lost', true],
    ] as const) {
      const { vault, clock, memory, refresher, asked } = await setStage()
      const grantId = await addGrant(vault, clock, ['1'])
      void refresher.refresh(grantId)
      await runDue()
      t.equal(asked.length, 1, name)
      const next = await restart(memory, clock)
      t.match(next.asked, [{ refreshToken: 'pinr_refresh_1' }], name)
      if (isUsedUp) {
        await next.asked[0]!.answer({ ...REFUSED, message: 'The refresh token was used before.' })
        t.match(next.vault.grant(grantId)?.failure, { reason: /used before.*earlier refresh was lost/ })
        t.equal(next.vault.tokenOf('1'), 'pina_access_1', 'still good for the rest of its life')
      } else {
        await next.asked[0]!.grant(2)
        t.equal(next.vault.tokenOf('1'), 'pina_access_2')
      }
    }
  },
)

t.test('the pause after a failure continues in the next process', async (t) => {
  const { vault, clock, memory, refresher, asked } = await setStage()
  await addGrant(vault, clock, ['1'])
  refresher.check()
  await clock.advance(24 * DAY_MS)
  for (let n = 0; n < 8; n++) {
    await asked.at(-1)!.answer(UNSENT)
    const count = asked.length
    while (asked.length === count) await clock.advance(10_000)
  }
  await asked.at(-1)!.answer(UNSENT)
  const next = await restart(memory, clock)
  await clock.advance(10 * 60_000)
  t.equal(next.asked.length, 0)
  await clock.advance(5 * 60_000)
  t.equal(next.asked.length, 1)
})

t.test('grants of one moment are refreshed over half a day', async (t) => {
  const { vault, clock, refresher } = await setStage()
  const nowMs = clock.wallMs()
  const due: number[] = []
  for (let n = 0; n < 30; n++) {
    const grantId = await addGrant(vault, clock, [`${n}`])
    due.push(refresher.nextRefreshAtMs(grantId)! - nowMs)
  }
  t.ok(Math.min(...due) >= 23.4 * DAY_MS && Math.max(...due) <= 24 * DAY_MS)
  t.ok(Math.max(...due) - Math.min(...due) > 0.3 * DAY_MS)
})

t.test('killed after the new pair was written: it is the one in use', async (t) => {
  const { vault, clock, memory, refresher, asked } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  void refresher.refresh(grantId)
  await runDue()
  await asked[0]!.grant(2)
  const next = await restart(memory, clock)
  t.equal(next.vault.tokenOf('1'), 'pina_access_2')
  t.equal(next.asked.length, 0)
})

t.test('the new pair is in the store before any call can use it', async (t) => {
  const { vault, clock, memory, refresher, asked } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  const sealedNow = () => memory.documents.get(`grant ${grantId}`)!.body
  const sealedBefore = sealedNow()
  let sealedWhenUsed: unknown
  vault.onAccountChange(() => {
    if (vault.tokenOf('1') === 'pina_access_2') sealedWhenUsed ??= sealedNow()
  })
  void refresher.refresh(grantId)
  await runDue()
  await asked[0]!.grant(2)
  t.ok(sealedWhenUsed)
  t.notSame(sealedWhenUsed, sealedBefore)
})

t.test('an app secret that does not work changes nothing; one that does is kept', async (t) => {
  const { vault, clock, refresher, asked } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  const wrong = refresher.refresh(grantId, 'client-secret-x')
  await runDue()
  t.match(asked[0], { clientSecret: 'client-secret-x' })
  await asked[0]!.answer({ kind: 'refused', status: 401, message: 'the secret is wrong' })
  t.match(await wrong, { kind: 'refused', message: 'the secret is wrong' })
  t.match(vault.grant(grantId), { failure: undefined, askedAtMs: undefined })
  t.equal(vault.clientOf('app')?.clientSecret, 'client-secret-1')
  const right = refresher.refresh(grantId, 'client-secret-2')
  await runDue()
  await asked[1]!.grant(2)
  t.match(await right, { kind: 'renewed' })
  t.equal(vault.clientOf('app')?.clientSecret, 'client-secret-2')
})

t.test('stop waits for a refresh under way, and lets none begin', async (t) => {
  const { vault, clock, refresher, asked } = await setStage()
  const grantId = await addGrant(vault, clock, ['1'])
  refresher.check()
  void refresher.refresh(grantId)
  await runDue()
  let isStopped = false
  const stopping = refresher.stop(5000).then(() => (isStopped = true))
  await runDue()
  t.equal(isStopped, false)
  await asked[0]!.grant(2)
  await stopping
  t.equal(vault.tokenOf('1'), 'pina_access_2')
  t.match(await refresher.refresh(grantId), { kind: 'failed', reason: 'shutting_down' })
  await clock.advance(60 * DAY_MS)
  t.equal(asked.length, 1)
})

t.test(
  'a wall clock that is set forth refreshes early, and one that is set back refreshes on a 401',
  async (t) => {
    const { vault, clock, refresher, asked } = await setStage()
    const grantId = await addGrant(vault, clock, ['1'])
    refresher.check()
    clock.setWall(clock.wallMs() + 25 * DAY_MS)
    await clock.advance(15 * 60_000)
    t.equal(asked.length, 1)
    await asked[0]!.grant(2)
    clock.setWall(clock.wallMs() - 300 * DAY_MS)
    await clock.advance(30 * DAY_MS)
    t.equal(asked.length, 1)
    refresher.accessRefused(grantId)
    await runDue()
    t.equal(asked.length, 2)
  },
)
