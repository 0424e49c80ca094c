import t from 'tap'
import type { Granted } from '../../src/pinterest/oauth.ts'
import { readScores, type QualityScore } from '../../src/pinterest/quality-score.ts'
import { createQualityFetcher } from '../../src/vault/quality.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { addGrant, DAY_MS, setStage } from './stage.ts'

const SCORE: QualityScore = {
  overall_status: 'GOOD',
  ingestion_source: 'CONVERSIONS_API',
  source_platform: 'WEB',
  lookback_period: '14d',
  quality_components: { hashed_email: { checkout: { coverage: 92.5 } } },
}
const log = createLog({ level: 'silent', destination: { write() {} } })

async function setUp() {
  const stage = await setStage()
  const asked: string[] = []
  let answer: Granted<readonly QualityScore[]> = { kind: 'granted', value: [SCORE] }
  const fetcher = createQualityFetcher({
    ...stage,
    oauth: {
      async qualityScores(accessToken, adAccountId) {
        asked.push(`${adAccountId} ${accessToken}`)
        return answer
      },
    },
    random: () => 0.5,
    log,
  })
  const answerWith = (next: typeof answer) => (answer = next)
  return { ...stage, fetcher, asked, answerWith }
}

t.test('each score is fetched once a day, with a token that may read it, and kept', async (t) => {
  const { vault, clock, fetcher, asked } = await setUp()
  await addGrant(vault, clock, ['1', '2'])
  await vault.putAccount({ adAccountId: '2', token: { kind: 'conversion', accessToken: 'pina_conversion' } })
  await vault.putAccount({ adAccountId: '3', token: { kind: 'given', accessToken: 'pina_given_token' } })
  fetcher.start()
  await clock.advance(DAY_MS / 2)
  t.strictSame(asked, ['1 pina_access_1', '2 pina_access_1', '3 pina_given_token'])
  t.match(vault.quality('1'), { scores: [SCORE], failure: undefined })
  await clock.advance(DAY_MS)
  t.equal(asked.length, 6)
  fetcher.close()
  await clock.advance(2 * DAY_MS)
  t.equal(asked.length, 6)
})

t.test(
  'scores are kept some hundred at a time: each change has every replica read the vault again',
  async (t) => {
    const { vault, clock, fetcher, memory } = await setUp()
    for (let id = 1; id <= 150; id++)
      await vault.putAccount({
        adAccountId: `${id}`,
        token: { kind: 'given', accessToken: 'pina_given_token' },
      })
    const { changeVault } = memory.vaultStore
    let changes = 0
    memory.vaultStore.changeVault = (decide) => {
      changes += 1
      return changeVault(decide)
    }
    fetcher.start()
    await clock.advance(DAY_MS / 2)
    t.equal(memory.idsOf('quality').length, 150)
    t.equal(changes, 2)
    fetcher.close()
  },
)

t.test('a score that was fetched while the clock was ahead does not wait for that time', async (t) => {
  const { vault, clock, fetcher, asked } = await setUp()
  await addGrant(vault, clock, ['1'])
  clock.setWall(clock.wallMs() + 365 * DAY_MS)
  fetcher.start()
  await clock.advance(DAY_MS / 2)
  t.equal(asked.length, 1)
  clock.setWall(clock.wallMs() - 365 * DAY_MS)
  await clock.advance(DAY_MS / 2)
  t.equal(asked.length, 2, 'once, and then once a day')
  fetcher.close()
})

t.test(
  'a failure keeps the last score; what may pass is tried within the hour, a refusal a day later',
  async (t) => {
    const { vault, clock, fetcher, asked, answerWith } = await setUp()
    await addGrant(vault, clock, ['1'])
    fetcher.start()
    await clock.advance(DAY_MS / 2)
    answerWith({ kind: 'failed', reason: 'status_503', isAnswerLost: true })
    await clock.advance(DAY_MS)
    t.match(vault.quality('1'), { scores: [SCORE], failure: { reason: 'status_503' } })
    const count = asked.length
    t.ok(count > 8, 'every hour')
    answerWith({ kind: 'refused', status: 403, message: 'not for you' })
    await clock.advance(DAY_MS / 2)
    t.equal(asked.length, count + 1)
    t.match(vault.quality('1'), { failure: { reason: '403 not for you' } })
  },
)

t.test(
  'an answer is kept as far as Pinterest promises it, and not at all where it breaks the promise',
  async (t) => {
    t.same(readScores([{ ...SCORE, surprise: 1 }]), [SCORE])
    t.same(readScores([]), [])
    for (const bad of [
      {},
      null,
      [1],
      [{}],
      [{ ...SCORE, quality_components: [] }],
      [{ ...SCORE, overall_status: 1 }],
    ]) {
      t.equal(readScores(bad), undefined, JSON.stringify(bad))
    }
  },
)
