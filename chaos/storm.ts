/**
 * Load, faults and kills together, then a quiet period; then the promises are checked. Shared by the scenarios that
 * differ in how the relay is disturbed.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Totals } from '../src/store/store.ts'
import { createCallLog, type CallLog } from './call-log.ts'
import type { ChaosEvent } from './events.ts'
import { randomFaults, refusals } from './faults.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { startLoad, type LoadOptions } from './load.ts'
import type { Kill } from './relay-process.ts'
import { claim, count, type Claim, type Context } from './scenario.ts'
import { setStage, type Stage } from './stage.ts'

export interface StormOptions extends Pick<
  LoadOptions,
  'clientCount' | 'badEvents' | 'slowPosts' | 'onOutcome'
> {
  readonly accountCount: number
  /** Another stage than one relay on SQLite: then errors in logs are meant. */
  readonly openStage?: (settings: Readonly<Record<string, string>>) => Promise<Stage>
  /** Not with replicas that are suspended and resumed: what they send twice is recorded nowhere. */
  readonly explainsRepeats?: boolean
  readonly settings?: Readonly<Record<string, string>>
  /** From 0 (none) to 1. */
  readonly faultStrength: number
  /** Disturbs the relay; the storm ends with it. Answers the kills. */
  readonly strike: (stage: Stage, betweenFaults: () => Promise<void>) => Promise<readonly Kill[]>
}

export const CALL_TIMEOUT_MS = 1500
const LIMIT = 5000
/** From Pinterest's answer to the synced outcome; the short form runs on whatever machine CI has. */
const ACKNOWLEDGE_MS = 300
const SLOW_ACKNOWLEDGE_MS = 1000
/** Backoffs grow to a minute. */
const DRAIN_PATIENCE_MS = 150_000
/** A call that was on its way to a relay that is dead now has reached its end by then. */
const STRAGGLERS_MS = 100

export async function runStorm(context: Context, options: StormOptions): Promise<readonly Claim[]> {
  const { random, say } = context
  const settings = { CALL_TIMEOUT_MS: String(CALL_TIMEOUT_MS), ANSWER_WAIT_MS: '500', ...options.settings }
  const stage =
    (await options.openStage?.(settings)) ??
    (await setStage({ accountCount: options.accountCount, random, settings }))
  try {
    const ledger = createLedger()
    const callLog = createCallLog(CALL_TIMEOUT_MS, context.isShort ? SLOW_ACKNOWLEDGE_MS : ACKNOWLEDGE_MS)
    const weather = makeWeather(context, stage, options.faultStrength)
    const load = startLoad({
      ...options,
      ports: stage.ports ?? [stage.port],
      relayKey: stage.relayKey,
      accounts: stage.accounts,
      random,
      ledger,
      onBadEvent: weather.refuse,
    })
    const kills = await options.strike(stage, async () => {
      await delay(STRAGGLERS_MS)
      callLog.fold(stage.sandbox.journal)
    })
    await load.stop()
    await weather.end()
    say(`calm; posts: ${[...ledger.statuses].map(([word, n]) => `${count(n)} × ${word}`).join(', ')}`)
    await drain(stage, say)
    callLog.fold(stage.sandbox.journal)
    const limit = Number(settings['CALLS_PER_MINUTE' as keyof typeof settings] ?? LIMIT)
    return await judge(stage, ledger, callLog, { ...options, kills, limit })
  } finally {
    await stage.close()
  }
}

interface Weather {
  readonly refuse: (event: ChaosEvent) => void
  end(): Promise<void>
}

/** Changes the faults every few hundred milliseconds, and plays the operator who fixes what holds a queue. */
function makeWeather({ random }: Context, stage: Stage, strength: number): Weather {
  const { sandbox, accounts } = stage
  const invalid = { failing: [] as string[], poison: [] as string[] }
  let passing: ReturnType<typeof randomFaults> = []
  let isOver = false
  const apply = () => sandbox.faults.set([...refusals(invalid.failing, invalid.poison), ...passing])

  async function change(): Promise<void> {
    while (!isOver) {
      passing = strength === 0 ? [] : randomFaults(random, accounts, strength)
      apply()
      await delay(random.between(100, 900))
      // Nobody may be there to answer.
      if (random.chance(0.3)) await stage.registerAccounts().catch(() => undefined)
    }
  }

  const changing = change()
  return {
    refuse({ eventId, kind }) {
      if (kind !== 'failing' && kind !== 'poison') return
      invalid[kind].push(eventId)
      apply()
    },
    async end() {
      isOver = true
      await changing
      passing = []
      apply()
    },
  }
}

async function drain(stage: Stage, say: Context['say']): Promise<void> {
  await stage.registerAccounts()
  const startedMs = performance.now()
  for (;;) {
    const { queued } = await stage.totals()
    const tookMs = performance.now() - startedMs
    if (queued === 0) {
      say(`drained after ${(tookMs / 1000).toFixed(1)} s`)
      return
    }
    if (tookMs > DRAIN_PATIENCE_MS) {
      say(`gave up draining with ${count(queued)} events queued`)
      return
    }
    await delay(200)
  }
}

interface Judged extends Pick<StormOptions, 'openStage' | 'explainsRepeats'> {
  readonly kills: readonly Kill[]
  readonly limit: number
}

async function judge(
  stage: Stage,
  ledger: Ledger,
  callLog: CallLog,
  { openStage, explainsRepeats = openStage === undefined, kills, limit }: Judged,
): Promise<readonly Claim[]> {
  const totals = await stage.totals()
  const dead = await readDeadLetters(stage)
  return [
    claimNothingLost(stage, ledger, dead),
    ...(explainsRepeats ? [claimDuplicates(callLog, kills)] : []),
    claimBalance(totals),
    ...claimAgreement(stage, ledger, totals),
    claimLimit(stage, limit),
    claim(ledger.complaints.length === 0, `answers keep to the table ${ledger.complaints.join('; ')}`),
    ...(openStage === undefined ? [claimQuietLog(stage)] : []),
  ]
}

function claimNothingLost({ sandbox, accounts }: Stage, ledger: Ledger, dead: DeadLetters): Claim {
  const lost: string[] = []
  let total = 0
  for (const account of accounts) {
    const counts = sandbox.conversions.counts(account)
    for (const eventId of ledger.taken.get(account) ?? []) {
      total += 1
      if (!counts.has(eventId) && !dead.has(account, eventId)) lost.push(`${account}/${eventId}`)
    }
    for (const eventId of ledger.rejected.get(account) ?? []) {
      if (!dead.has(account, eventId)) lost.push(`${account}/${eventId} (no dead letter)`)
    }
  }
  const examples = lost.slice(0, 5).join(', ')
  return claim(lost.length === 0, `${count(lost.length)} of ${count(total)} answered events lost ${examples}`)
}

function claimDuplicates(callLog: CallLog, kills: readonly Kill[]): Claim {
  const { repeated, inFlightAtKills, outcomesLost, unexplained } = callLog.findDuplicates(kills)
  return claim(
    unexplained.length === 0 && repeated <= inFlightAtKills + outcomesLost,
    `${count(repeated)} events recorded again, at most the ${count(inFlightAtKills)} in flight at ${kills.length} kills ` +
      `and the ${count(outcomesLost)} whose outcome a fault kept back; in ${count(callLog.callCount)} calls ` +
      unexplained.join('; '),
  )
}

function claimBalance({
  received,
  delivered,
  rejected,
  expired,
  filtered,
  queued,
  duplicate,
}: Totals): Claim {
  const right = delivered + rejected + expired + filtered + queued + duplicate
  return claim(
    received === right,
    `totals balance: ${count(received)} received = ${count(delivered)} delivered + ${count(rejected)} rejected + ` +
      `${count(expired)} expired + ${count(filtered)} filtered + ${count(queued)} queued + ${count(duplicate)} duplicate`,
  )
}

/** What the harness knows exactly, and what it can only bound since nobody answered. */
function claimAgreement({ sandbox, accounts }: Stage, { counted }: Ledger, totals: Totals): readonly Claim[] {
  const recorded = accounts.reduce((sum, id) => sum + sandbox.conversions.summary(id).distinct, 0)
  const isWithin = (value: number, least: number, open: number) => value >= least && value <= least + open
  const bound = (least: number, open: number) => `${count(least)} and ${count(open)} nobody answered`
  return [
    claim(
      totals.delivered === recorded,
      `delivered is what Pinterest has: ${count(recorded)} distinct events`,
    ),
    claim(
      isWithin(totals.received, counted.received, counted.unanswered),
      `received ${count(totals.received)}; the clients counted ${bound(counted.received, counted.unanswered)}`,
    ),
    claim(
      isWithin(totals.invalid, counted.invalid, counted.unansweredRefused),
      `refused ${count(totals.invalid)}; the clients counted ${bound(counted.invalid, counted.unansweredRefused)}`,
    ),
    claim(totals.queued === 0 && totals.expired === 0, 'nothing is left over, nothing expired'),
  ]
}

function claimLimit({ sandbox }: Stage, limit: number): Claim {
  const most = Math.max(...Object.values(sandbox.stats()).map(({ maxCallsInWindow }) => maxCallsInWindow))
  return claim(
    most <= limit,
    `at most ${count(most)} calls of an account in any minute, of ${count(limit)} allowed`,
  )
}

/** A held queue and an outage of Pinterest are logged as errors on purpose. */
const MEANT = ['queue held: Pinterest refuses the canary too', 'all queues wait']

function claimQuietLog(stage: Stage): Claim {
  const strange = stage.relay().errors.filter((line) => !MEANT.some((phrase) => line.includes(phrase)))
  return claim(
    strange.length === 0,
    `no unexpected error in the last relay's log ${strange.slice(0, 3).join(' ')}`,
  )
}

interface DeadLetters {
  has(adAccountId: string, eventId: string): boolean
}

interface DeadLetterPage {
  readonly dead_letters: readonly { readonly ad_account_id: string; readonly event_id: string }[]
  readonly next_cursor: string | null
}

async function readDeadLetters(stage: Stage): Promise<DeadLetters> {
  const found = new Set<string>()
  let cursor = ''
  for (;;) {
    const page = await stage.admin<DeadLetterPage>('GET', `/dead-letters?limit=200${cursor}`)
    for (const { ad_account_id, event_id } of page.dead_letters) found.add(`${ad_account_id}/${event_id}`)
    if (page.next_cursor === null)
      return { has: (adAccountId, eventId) => found.has(`${adAccountId}/${eventId}`) }
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`
  }
}
