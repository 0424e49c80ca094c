/**
 * A relay that starts on a large backlog: how soon it calls, how much memory it takes, whether the calls are full and keep
 * to the call limiter's pace, and whether posts that come meanwhile get their outcome in time. First with a pace that is known,
 * then with the call limiter's default, until all is delivered.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startChild } from '../bench/children.ts'
import type { JournalEntry } from '../sandbox/journal.ts'
import { makeEvent } from './events.ts'
import { post } from './post.ts'
import type { RelayProcess } from './relay-process.ts'
import { claim, count, type Claim, type Context } from './scenario.ts'
import { setStage, type Stage } from './stage.ts'

const FIRST_CALL_MS = 5000
const PEAK_MEBIBYTES = 300
const EVENTS_PER_CALL = 900
const ANSWER_MS = 1000
const POST_EVERY_MS = 100
const CALLS_PER_MINUTE = 600
const CALL_BURST = 60
const CALLS_PER_MS = (CALLS_PER_MINUTE - CALL_BURST) / 60_000
/** Of what the call limiter allows: the rest is the start, and other work on the machine. */
const PACE_KEPT = 0.8
const DRAIN_PATIENCE_MS = 600_000
const FILL_SCRIPT = fileURLToPath(new URL('fill-store.ts', import.meta.url))

export async function runBacklog(context: Context): Promise<readonly Claim[]> {
  const { isShort, random, say, seed } = context
  const backlog = isShort ? 80_000 : 1_000_000
  const pacedMs = isShort ? 3000 : 45_000
  const sandbox = await startSandbox()
  const MASTER_KEY = randomBytes(32).toString('base64')
  const stage = await setStage({
    accountCount: 1,
    random,
    settings: { MASTER_KEY },
    sandboxUrl: `${sandbox.origin}/v5`,
  })
  try {
    await stage.relay().end()
    const filledMs = await fillStore(stage, MASTER_KEY, backlog, seed)
    say(`${count(backlog)} events on disk, after ${(filledMs / 1000).toFixed(1)} s`)

    const pace = { CALLS_PER_MINUTE: String(CALLS_PER_MINUTE), CALL_BURST: String(CALL_BURST) }
    const paced = await drive(context, stage, sandbox, pace, pacedMs)
    const ended = await stage.relay().end()
    await sandbox.clear('stats')
    const free = await drive(context, stage, sandbox, {}, DRAIN_PATIENCE_MS)
    await stage.relay().end()
    const { recorded, repeated, uncounted } = await sandbox.recorded(stage.accounts[0]!)
    const posted = paced.answers.length + free.answers.length
    return [
      ...claimsOf(context, `at ${CALLS_PER_MINUTE} calls a minute`, paced),
      ...claimsOfPace(context, paced),
      ...claimsOf(context, 'at the default pace', free),
      claim(
        free.maxCallsInWindow <= 5000,
        `at most ${count(free.maxCallsInWindow)} calls in any minute, of 5,000`,
      ),
      claim(ended === 0, `the relay ended with ${ended} amid its backlog`),
      claim(
        recorded === backlog + posted && repeated === 0 && uncounted === 0,
        `${count(recorded)} events delivered of ${count(backlog)} and ${count(posted)} posted meanwhile, ${count(repeated)} twice`,
      ),
    ]
  } finally {
    await stage.close()
    await sandbox.stop()
  }
}

interface Driven {
  readonly relay: { readonly firstCallMs: number; readonly readyMs: number; readonly peakMebibytes: number }
  readonly calls: readonly JournalEntry[]
  readonly maxCallsInWindow: number
  readonly answers: readonly { readonly status: string; readonly durationMs: number }[]
}

/** Starts the relay, posts meanwhile, and records the calls: for so long, or until nothing is queued. */
async function drive(
  context: Context,
  stage: Stage,
  sandbox: SandboxProcess,
  settings: Readonly<Record<string, string>>,
  forMs: number,
): Promise<Driven> {
  await sandbox.clear('journal')
  const relay = await stage.restart(settings)
  const posting = startPosting(context, stage)
  const untilMs = performance.now() + forMs
  while (performance.now() < untilMs) {
    await delay(500)
    if ((await stage.totals()).queued < EVENTS_PER_CALL) break
  }
  const answers = await posting.stop()
  const calls = await sandbox.journal()
  const driven = {
    relay: {
      firstCallMs: calls[0]!.at - relay.startedAtMs,
      readyMs: relay.readyAtMs - relay.startedAtMs,
      peakMebibytes: relay.peakMebibytes(),
    },
    calls,
    maxCallsInWindow: await sandbox.maxCallsInWindow(stage.accounts[0]!),
    answers,
  }
  report(context, relay, driven)
  return driven
}

function report({ say }: Context, process: RelayProcess, { relay, calls, answers }: Driven): void {
  const tookS = spanMs(calls) / 1000
  const events = eventsIn(calls)
  const times = answers.map(({ durationMs }) => durationMs)
  say(
    `${count(events / tookS)} events/s in ${count(calls.length)} calls over ${tookS.toFixed(1)} s ` +
      `(${(calls.length / tookS).toFixed(1)} calls/s); ready after ${count(relay.readyMs)} ms, ` +
      `peak ${relay.peakMebibytes} MiB, cpu ${process.cpuSeconds().toFixed(1)} s; ` +
      `posts p50 ${count(quantile(times, 0.5))} ms, p99 ${count(quantile(times, 0.99))} ms, ` +
      `longest ${count(Math.max(...times))} ms`,
  )
}

function claimsOf(context: Context, when: string, { relay, calls, answers }: Driven): readonly Claim[] {
  const { firstCallMs, peakMebibytes } = relay
  const full = callsOfBacklog(calls)
  const mean = eventsIn(full) / full.length
  const p99Ms = quantile(
    answers.map(({ durationMs }) => durationMs),
    0.99,
  )
  const others = answers.filter(({ status }) => status !== '200').map(({ status }) => status)
  return [
    ...timed(
      context,
      firstCallMs < FIRST_CALL_MS,
      `${when}: the first call ${count(firstCallMs)} ms after the start`,
    ),
    claim(peakMebibytes < PEAK_MEBIBYTES, `${when}: ${peakMebibytes} MiB at most, below ${PEAK_MEBIBYTES}`),
    claim(mean >= EVENTS_PER_CALL, `${when}: ${count(mean)} events per call in ${count(full.length)} calls`),
    ...timed(
      context,
      others.length === 0,
      `${when}: ${count(answers.length)} posts got their outcome ${others.join(' ')}`,
    ),
    ...timed(context, p99Ms < ANSWER_MS, `${when}: 99 % of them within ${count(p99Ms)} ms`),
  ]
}

/** The short form runs on whatever machine CI has, beside whatever else it does: there such a figure is reported, not claimed. */
function timed({ isShort }: Context, holds: boolean, text: string): readonly Claim[] {
  return isShort ? [] : [claim(holds, text)]
}

function claimsOfPace(context: Context, { calls, maxCallsInWindow }: Driven): readonly Claim[] {
  const allowed = spanMs(calls) * CALLS_PER_MS
  const most = mostOverPace(calls.map(({ at }) => at))
  return [
    ...timed(
      context,
      calls.length >= PACE_KEPT * allowed,
      `${count(calls.length)} calls left, ${count(allowed)} could in that time: it drains at the call limiter's pace`,
    ),
    claim(maxCallsInWindow <= CALLS_PER_MINUTE, `${count(maxCallsInWindow)} calls at most in any minute`),
    claim(
      most <= CALL_BURST + 1,
      `and never more than ${count(most)} ahead of the call limiter's refill, of ${CALL_BURST}`,
    ),
  ]
}

/** The most by which the calls of any span exceed what is refilled in it. */
function mostOverPace(times: readonly number[]): number {
  let most = 0
  let level = 0
  times.forEach((atMs, index) => {
    const passedMs = index === 0 ? 0 : atMs - times[index - 1]!
    level = Math.max(0, level - passedMs * CALLS_PER_MS) + 1
    most = Math.max(most, level)
  })
  return most
}

function startPosting({ random }: Context, stage: Stage) {
  const agent = new Agent({ keepAlive: true })
  const posts: Promise<{ status: string; durationMs: number }>[] = []
  const timer = setInterval(() => posts.push(postOne()), POST_EVERY_MS)

  async function postOne() {
    const startedMs = performance.now()
    const outcome = await post({
      port: stage.port,
      agent,
      relayKey: stage.relayKey,
      adAccountId: stage.accounts[0]!,
      body: `{"data":[${makeEvent(random).json}]}`,
    })
    const status = outcome.kind === 'answered' ? String(outcome.status) : outcome.code
    return { status, durationMs: performance.now() - startedMs }
  }

  return {
    async stop() {
      clearInterval(timer)
      const answers = await Promise.all(posts)
      agent.destroy()
      return answers
    },
  }
}

async function fillStore(stage: Stage, masterKey: string, events: number, seed: number): Promise<number> {
  const startedMs = performance.now()
  const args = [FILL_SCRIPT, `${stage.folder}/relay.db`, stage.accounts[0]!, String(events), String(seed)]
  const child = spawn(process.execPath, args, {
    stdio: 'inherit',
    env: { PATH: process.env['PATH'] ?? '', MASTER_KEY: masterKey },
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`the store could not be filled: ${code}`)
  return performance.now() - startedMs
}

type SandboxProcess = Awaited<ReturnType<typeof startSandbox>>

/** In a process of its own, so that its work does not hold up the clock of the posts. */
async function startSandbox() {
  const environment = {
    SANDBOX_PORT: '0',
    SANDBOX_CALLS_PER_MINUTE: '0',
    SANDBOX_JOURNAL_CALLS: '100000',
    SANDBOX_JOURNAL_EVENTS: 'false',
  }
  const child = await startChild({
    script: 'sandbox/main.ts',
    environment,
    findPort: (line) => Number(/PINTEREST_API_URL=http:\/\/[^:]+:(\d+)/.exec(line)?.[1]) || undefined,
  })
  const origin = `http://127.0.0.1:${child.port}`
  const ask = async (method: string, path: string): Promise<unknown> =>
    (await fetch(`${origin}/_sandbox/${path}`, { method })).json()
  return {
    origin,
    journal: async () => ((await ask('GET', 'journal?limit=100000')) as { calls: JournalEntry[] }).calls,
    clear: (path: 'journal' | 'stats') => ask('DELETE', path),
    async maxCallsInWindow(account: string) {
      const { accounts } = (await ask('GET', 'stats')) as {
        accounts: Record<string, { maxCallsInWindow: number }>
      }
      return accounts[account]!.maxCallsInWindow
    },
    recorded: async (account: string) =>
      (await ask('GET', `events?counts=false&ad_account_id=${account}`)) as {
        recorded: number
        repeated: number
        uncounted: number
      },
    stop: () => child.stop(),
  }
}

/** After the last full one there was nothing left but what was just posted. */
function callsOfBacklog(calls: readonly JournalEntry[]): readonly JournalEntry[] {
  const last = calls.findLastIndex(({ eventCount = 0 }) => eventCount >= EVENTS_PER_CALL)
  return calls.slice(0, last + 1)
}

function eventsIn(calls: readonly JournalEntry[]): number {
  return calls.reduce((sum, { eventCount = 0 }) => sum + eventCount, 0)
}

function spanMs(calls: readonly JournalEntry[]): number {
  return calls.at(-1)!.at - calls[0]!.at
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0
}
