/**
 * Three replicas on one PostgreSQL under load: one is killed, one is suspended for longer than its lease and resumed, and the
 * database is stopped and started. Nothing answered may be lost, no account may get more calls than its limit over all of
 * them, and the totals balance.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { createSandbox } from '../sandbox/sandbox.ts'
import type { Totals } from '../src/store/store.ts'
import { startStoppablePostgres, type StoppablePostgres } from '../test/support/postgres.ts'
import { nowMs } from './now.ts'
import { startRelayProcess, type Kill, type RelayProcess } from './relay-process.ts'
import { claim, type Claim, type Context } from './scenario.ts'
import { openSpread, type Spread } from './spread.ts'
import { findFreePort } from '../test/support/ports.ts'
import { ADMIN_TOKEN, createAsk, FIRST_ACCOUNT, JOURNAL, type Stage } from './stage.ts'
import { runStorm } from './storm.ts'

/** Beyond the 15 s after which a replica that is not heard of counts as dead. */
const STILL_MS = 20_000
const DATABASE_AWAY_MS = 4000

export async function runReplicas(context: Context): Promise<readonly Claim[]> {
  const server = await startStoppablePostgres()
  try {
    const free = await storm(context, server, {}, 0.3)
    const settings = { CALLS_PER_MINUTE: '90', CALL_BURST: '15' }
    context.say('the same with 90 calls a minute over all three')
    const limited = context.isShort ? [] : await storm(context, server, settings, 0.1)
    return [...free, ...limited.map(({ holds, text }) => claim(holds, `with a low limit: ${text}`))]
  } finally {
    await server.close()
  }
}

async function storm(
  context: Context,
  server: StoppablePostgres,
  settings: Readonly<Record<string, string>>,
  faultStrength: number,
): Promise<readonly Claim[]> {
  let replicas: Replicas | undefined
  return runStorm(context, {
    accountCount: 3,
    clientCount: 12,
    settings,
    faultStrength,
    badEvents: { invalid: 0.01, failing: 0.002, poison: 0.0005 },
    openStage: async (all) => (replicas = await openReplicas(context, server, all)),
    strike: async (_stage, betweenFaults) => strike(context, server, replicas!, betweenFaults),
  })
}

interface Replicas extends Stage {
  readonly relays: RelayProcess[]
  readonly spread: Spread
  startAgain(index: number): Promise<void>
}

async function openReplicas(
  { random }: Context,
  server: StoppablePostgres,
  more: Readonly<Record<string, string>>,
): Promise<Replicas> {
  const url = await server.createDatabase()
  const sandbox = await createSandbox({
    callsPerMinute: 0,
    journal: JOURNAL,
    now: nowMs,
    random: () => random.next(),
  })
  const accounts = [0, 1, 2].map((n) => String(FIRST_ACCOUNT + n))
  const ports = await Promise.all([0, 1, 2].map(async () => [await findFreePort(), await findFreePort()]))
  const settings = {
    ADMIN_TOKEN,
    DATABASE_URL: url,
    MASTER_KEY: randomBytes(32).toString('base64'),
    PINTEREST_API_URL: sandbox.url,
    POSTS_PER_MINUTE: '0',
    ...more,
  }
  const start = (index: number) =>
    startRelayProcess({
      ...settings,
      PORT: String(ports[index]![0]),
      ADMIN_PORT: String(ports[index]![1]),
    })
  // All at once: the tables are made by one of them.
  const relays = await Promise.all([0, 1, 2].map(start))
  const spread = await openSpread(relays.map(({ port }) => port))
  const admin = createAsk(relays[0]!.adminUrl)
  async function registerAccounts(): Promise<void> {
    for (const id of accounts) {
      await admin('PUT', `/accounts/${id}`, { access_token: `pina_token_of_${id}`, country: 'US' })
    }
  }
  await registerAccounts()
  const made = await admin<{ key: string }>('POST', '/keys', { label: 'chaos', ad_account_ids: accounts })
  // The others learn of both within two seconds.
  await delay(2000)
  return {
    sandbox,
    folder: '',
    port: spread.port,
    accounts,
    relayKey: made.key,
    relays,
    spread,
    relay: () => relays[0]!,
    restart: async () => relays[0]!,
    killWhileStarting: () => relays[0]!.kill(),
    async startAgain(index) {
      relays[index] = await start(index)
      spread.putBack(relays[index].port)
    },
    admin,
    totals: (adAccountId) =>
      admin<Totals>('GET', adAccountId === undefined ? '/totals' : `/totals?ad_account_id=${adAccountId}`),
    registerAccounts,
    async close() {
      spread.close()
      await sandbox.close()
      await Promise.all(relays.map((relay) => relay.kill()))
    },
  }
}

async function strike(
  { say, isShort }: Context,
  server: StoppablePostgres,
  replicas: Replicas,
  betweenFaults: () => Promise<void>,
): Promise<readonly Kill[]> {
  const { relays, spread } = replicas
  const rounds = isShort ? 1 : 3
  const kills: Kill[] = []
  for (let round = 0; round < rounds; round++) {
    await delay(3000)
    say('one replica is suspended')
    spread.takeOut(relays[2]!.port)
    relays[2]!.signal('SIGSTOP')
    await delay(2000)
    say('another is killed')
    spread.takeOut(relays[1]!.port)
    kills.push(await relays[1]!.kill())
    await betweenFaults()
    await delay(3000)
    say('the database is stopped')
    await server.stop()
    await delay(DATABASE_AWAY_MS)
    await server.start()
    say('and started')
    await delay(2000)
    await replicas.startAgain(1)
    await delay(Math.max(0, STILL_MS - 10_000 - DATABASE_AWAY_MS))
    say('the suspended replica resumes')
    relays[2]!.signal('SIGCONT')
    await delay(1000)
    spread.putBack(relays[2]!.port)
    await delay(4000)
  }
  return kills
}
