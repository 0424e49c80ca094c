/**
 * Failover of a PostgreSQL with one synchronous standby, under load. Two relays: one reaches the primary through an
 * address that moves with it, the other one names both hosts. Each round the primary is killed and the standby promoted;
 * then the old primary restarts as a second primary that is not fenced, and the address still points
 * to it: nothing that it takes may be answered 2xx. In every other round the new primary is restarted meanwhile, so that
 * the relay with two hosts connects to the old one, too. Then the address moves, and the old primary becomes the new standby.
 *
 * What was answered is delivered or a dead letter, the totals balance, the call limit holds, and both relays continue
 * without a restart. Events reach Pinterest twice only where a call was out, or its outcome not yet written, when the
 * database went away.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { createSandbox } from '../sandbox/sandbox.ts'
import type { Totals } from '../src/store/store.ts'
import { debianPostgresMissing } from '../test/support/debian-postgres.ts'
import { startTcpProxy, type TcpProxy } from '../test/support/tcp-proxy.ts'
import type { PostedTo } from './load.ts'
import { nowMs } from './now.ts'
import { startPostgresPair, type PostgresPair, type Server } from './postgres-pair.ts'
import type { Answered, Unanswered } from './post.ts'
import { startRelayProcess, type Kill, type RelayProcess } from './relay-process.ts'
import { claim, count, type Claim, type Context } from './scenario.ts'
import { ADMIN_TOKEN, createAsk, FIRST_ACCOUNT, JOURNAL, type Stage } from './stage.ts'
import { runStorm } from './storm.ts'

const DATABASE = 'relay'
const CALLS_PER_MINUTE = 90
const CALL_BURST = 15
/** Beyond what a relay waits for a COMMIT: then it is in doubt without anybody's doing. */
const LONG_SPLIT_MS = 12_000
const SHORT_SPLIT_MS = 5000
const CANCEL_EVERY_MS = 300
const COME_BACK_MS = 60_000

export async function runFailover(context: Context): Promise<readonly Claim[]> {
  const missing = debianPostgresMissing()
  if (missing !== false) {
    context.say(`left out: ${missing}`)
    return []
  }
  const pair = await startPostgresPair()
  const seen = createWitness()
  let failover: Failover | undefined
  try {
    const claims = await runStorm(context, {
      accountCount: 3,
      clientCount: 12,
      settings: { CALLS_PER_MINUTE: String(CALLS_PER_MINUTE), CALL_BURST: String(CALL_BURST) },
      faultStrength: 0.2,
      badEvents: { invalid: 0.01, failing: 0.002 },
      explainsRepeats: true,
      onOutcome: (outcome, posted) => seen.note(outcome, posted),
      openStage: async (all) => (failover = await openFailover(context, pair, all)),
      strike: () => strike(context, failover!, seen),
    })
    return [...seen.claims(), ...claims]
  } finally {
    await pair.close()
  }
}

interface Failover extends Stage {
  readonly pair: PostgresPair
  readonly address: TcpProxy
  /** Reaches the database through the address. */
  readonly byAddress: RelayProcess
  /** Names both hosts. */
  readonly byHosts: RelayProcess
}

async function openFailover(
  { random }: Context,
  pair: PostgresPair,
  more: Readonly<Record<string, string>>,
): Promise<Failover> {
  const [first, second] = pair.servers
  await first.ask(`CREATE DATABASE ${DATABASE}`)
  const address = await startTcpProxy(targetOf(first))
  const sandbox = await createSandbox({
    callsPerMinute: 0,
    journal: JOURNAL,
    now: nowMs,
    random: () => random.next(),
  })
  const accounts = [0, 1, 2].map((n) => String(FIRST_ACCOUNT + n))
  const settings = {
    ADMIN_TOKEN,
    MASTER_KEY: randomBytes(32).toString('base64'),
    PINTEREST_API_URL: sandbox.url,
    POSTS_PER_MINUTE: '0',
    ...more,
  }
  const user = 'postgres:none'
  const hosts = `127.0.0.1:${first.port},127.0.0.1:${second.port}`
  const start = (url: string) => startRelayProcess({ ...settings, DATABASE_URL: url })
  // One after the other where one fails, or nobody would end the other.
  const byAddress = await start(`postgres://${user}@127.0.0.1:${address.port}/${DATABASE}`)
  const byHosts = await start(`postgres://${user}@${hosts}/${DATABASE}?target_session_attrs=read-write`)
  const relays = [byAddress, byHosts]
  const admin = createAsk(byHosts.adminUrl)
  async function registerAccounts(): Promise<void> {
    for (const id of accounts) {
      await admin('PUT', `/accounts/${id}`, { access_token: `pina_token_of_${id}`, country: 'US' })
    }
  }
  await registerAccounts()
  const made = await admin<{ key: string }>('POST', '/keys', { label: 'chaos', ad_account_ids: accounts })
  // The other one learns of both within two seconds.
  await delay(2000)
  return {
    pair,
    address,
    byAddress,
    byHosts,
    sandbox,
    folder: '',
    port: byHosts.port,
    ports: relays.map(({ port }) => port),
    accounts,
    relayKey: made.key,
    relay: () => byHosts,
    restart: async () => byHosts,
    killWhileStarting: () => byHosts.kill(),
    admin,
    totals: (adAccountId) =>
      admin<Totals>('GET', adAccountId === undefined ? '/totals' : `/totals?ad_account_id=${adAccountId}`),
    registerAccounts,
    async close() {
      await sandbox.close()
      await Promise.all(relays.map((relay) => relay.kill()))
      await address.close()
    },
  }
}

async function strike(
  { say, isShort, random }: Context,
  failover: Failover,
  seen: Witness,
): Promise<readonly Kill[]> {
  const { pair, address, byAddress, byHosts } = failover
  let [primary, standby] = pair.servers
  const away: Kill[] = []
  const rounds = isShort ? 2 : 10
  for (let round = 0; round < rounds; round += 1) {
    await delay(random.between(2000, 4000))
    const killedAtMs = nowMs()
    await primary.kill()
    await standby.promote()
    const promotedAtMs = nowMs()
    await primary.start()
    say(
      `round ${round + 1}: killed, promoted after ${seconds(promotedAtMs - killedAtMs)}, both are primaries`,
    )
    const isLong = round % 2 === 1
    let goneAtMs = killedAtMs
    await seen.split(byAddress.port, async () => {
      if (isLong) {
        goneAtMs = nowMs()
        await standby.kill()
        await standby.start()
      }
      return splitBrain(primary, !isLong)
    })
    const movedAtMs = nowMs()
    address.leadTo(targetOf(standby))
    const byHostsMs = await seen.takesAgain(byHosts.port, goneAtMs, movedAtMs)
    const byAddressMs = await seen.takesAgain(byAddress.port, movedAtMs)
    away.push({ fromMs: killedAtMs, untilMs: nowMs() })
    const by = isLong ? 'pg_basebackup' : 'pg_rewind'
    await primary.follow(standby, by)
    say(
      `posts were taken ${seconds(byHostsMs)} after ${isLong ? 'a restart of the new primary' : 'the death'} by the relay ` +
        `with two hosts, ${seconds(byAddressMs)} after the move by the other; the old primary is the standby (${by})`,
    )
    ;[primary, standby] = [standby, primary]
  }
  return away
}

/** The old primary works for who reaches it, and waits for its standby in each commit; an operator may end these waits. */
async function splitBrain(old: Server, isCancelled: boolean): Promise<number> {
  const endsAtMs = nowMs() + (isCancelled ? SHORT_SPLIT_MS : LONG_SPLIT_MS)
  const waiting = new Set<string>()
  while (nowMs() < endsAtMs) {
    const rows = await old.ask<{ name: string }>(
      `SELECT pid || ' ' || xact_start AS name${isCancelled ? ', pg_cancel_backend(pid)' : ''} FROM pg_stat_activity
       WHERE wait_event = 'SyncRep'`,
    )
    for (const { name } of rows) waiting.add(name)
    await delay(CANCEL_EVERY_MS)
  }
  return waiting.size
}

interface Witness {
  note(outcome: Answered | Unanswered, post: PostedTo): void
  /** While `work` runs the relay reaches the old primary alone. `work` answers how many commits waited there. */
  split(port: number, work: () => Promise<number>): Promise<void>
  /** How long it was until the relay answered 2xx to a post of after that time. Rejects where that does not happen. */
  takesAgain(port: number, sinceMs: number, dueAtMs?: number): Promise<number>
  claims(): readonly Claim[]
}

/** Watches what each relay answers. */
function createWitness(): Witness {
  const takenAt = new Map<number, { readonly postedAtMs: number; readonly atMs: number }[]>()
  const commits: number[] = []
  const backAfterMs: number[] = []
  let splitPort: number | undefined
  let splitSinceMs = 0
  let invalid = 0
  let taken = 0
  let late = 0

  return {
    note(outcome, { port, atMs: postedAtMs }) {
      const isTaken = outcome.kind === 'answered' && outcome.status !== 503
      const isSplit = port === splitPort && postedAtMs >= splitSinceMs
      if (isSplit && isTaken) taken += 1
      if (isSplit && !isTaken) invalid += 1
      if (!isTaken) return
      const all = takenAt.get(port) ?? []
      takenAt.set(port, all)
      all.push({ postedAtMs, atMs: nowMs() })
    },
    async split(port, work) {
      splitPort = port
      splitSinceMs = nowMs()
      commits.push(await work())
      splitPort = undefined
    },
    async takesAgain(port, sinceMs, dueAtMs = Infinity) {
      const endsAtMs = nowMs() + COME_BACK_MS
      for (;;) {
        const found = takenAt.get(port)?.find(({ postedAtMs }) => postedAtMs >= sinceMs)
        if (found !== undefined) {
          backAfterMs.push(found.atMs - sinceMs)
          if (found.atMs > dueAtMs) late += 1
          takenAt.set(port, [])
          return found.atMs - sinceMs
        }
        if (nowMs() > endsAtMs) throw new Error(`a relay took no post for ${seconds(COME_BACK_MS)}`)
        await delay(50)
      }
    },
    claims: () => [
      claim(
        taken === 0 && invalid > 0,
        `${count(taken)} of ${count(taken + invalid)} posts answered 2xx by the relay that reached the old primary alone`,
      ),
      claim(
        commits.every((waited) => waited > 0),
        `in each of ${commits.length} splits commits waited there for a standby: ${commits.join(', ')}`,
      ),
      claim(
        backAfterMs.length === 2 * commits.length,
        `both relays took posts again by themselves, after ${seconds(Math.max(...backAfterMs))} at most`,
      ),
      claim(
        late === 0,
        `${late} of ${commits.length} times the relay with two hosts did so only after the split`,
      ),
    ],
  }
}

function targetOf({ port }: Server) {
  return { host: '127.0.0.1', port }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
