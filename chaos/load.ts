/**
 * Clients that post as storefronts do: single posts, batches up to a thousand, some that do not wait, events posted twice
 * (in another post, or in the same one), posts that were not answered posted again, and now and then an event that is
 * no good.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { makeEvent, type ChaosEvent, type Kind } from './events.ts'
import type { Ledger } from './ledger.ts'
import { nowMs } from './now.ts'
import { createAgent, post, type Answered, type Unanswered } from './post.ts'
import type { Random } from '../test/support/random.ts'

export interface LoadOptions {
  /** Clients are spread over them; each stays with its own. */
  readonly ports: readonly number[]
  readonly relayKey: string
  readonly accounts: readonly string[]
  readonly clientCount: number
  readonly random: Random
  readonly ledger: Ledger
  /** Called before the event is posted for the first time, so that the sandbox can be set to refuse it. */
  readonly onBadEvent?: (event: ChaosEvent) => void
  /** Of all events; 0: none that Pinterest refuses. */
  readonly badEvents?: Partial<Readonly<Record<Exclude<Kind, 'good'>, number>>>
  readonly onOutcome?: (outcome: Answered | Unanswered, post: PostedTo) => void
  /** The longest pause of a client between two posts. */
  readonly pauseMs?: number
  /** Of all posts: bodies that take their time. */
  readonly slowPosts?: number
}

export interface PostedTo {
  readonly port: number
  readonly atMs: number
}

export interface Load {
  /** Resolves when every client has its last answer. */
  stop(): Promise<void>
}

const REMEMBERED = 500

export function startLoad(options: LoadOptions): Load {
  const { ports, relayKey, accounts, random, ledger, pauseMs = 30, slowPosts = 0 } = options
  const recent = new Map<string, ChaosEvent[]>(accounts.map((id) => [id, []]))
  let isStopped = false

  function makeOne(): ChaosEvent {
    const { invalid = 0, failing = 0, poison = 0 } = options.badEvents ?? {}
    const kind = chooseKind(random.next(), { invalid, failing, poison })
    const event = makeEvent(random, kind)
    if (kind !== 'good') options.onBadEvent?.(event)
    return event
  }

  function makeEvents(adAccountId: string): ChaosEvent[] {
    const known = recent.get(adAccountId)!
    const events = Array.from({ length: chooseSize(random) }, () =>
      known.length > 0 && random.chance(0.05) ? random.pick(known) : makeOne(),
    )
    // A post of nothing but what the relay refuses is counted beside the answer, not before it.
    if (events.every(({ kind }) => kind === 'invalid')) events.push(makeEvent(random))
    for (const event of events) {
      if (event.kind !== 'invalid') known[random.between(0, REMEMBERED - 1) % (known.length + 1)] = event
    }
    return events
  }

  async function runClient(port: number): Promise<void> {
    const agent = createAgent()
    let again: { readonly adAccountId: string; readonly events: ChaosEvent[] } | undefined
    while (!isStopped) {
      const adAccountId = again?.adAccountId ?? random.pick(accounts)
      const events = again?.events ?? makeEvents(adAccountId)
      const atMs = nowMs()
      const outcome = await post({
        port,
        agent,
        relayKey,
        adAccountId,
        body: `{"data":[${events.map(({ json }) => json).join(',')}]}`,
        prefer: random.pick([undefined, undefined, 'respond-async', 'wait=1']),
        pauseMs: random.chance(slowPosts) ? random.between(50, 400) : 0,
      })
      ledger.note(adAccountId, events, outcome)
      options.onOutcome?.(outcome, { port, atMs })
      const isTaken = outcome.kind === 'answered' && outcome.status !== 503
      again = isTaken || random.chance(0.3) ? undefined : { adAccountId, events }
      await delay(isTaken ? random.between(0, pauseMs) : 20)
    }
    agent.destroy()
  }

  const clients = Array.from({ length: options.clientCount }, (_, n) => runClient(ports[n % ports.length]!))
  return {
    async stop() {
      isStopped = true
      await Promise.all(clients)
    },
  }
}

function chooseSize(random: Random): number {
  const draw = random.next()
  if (draw < 0.7) return 1
  if (draw < 0.97) return random.between(2, 20)
  return random.between(100, 1000)
}

function chooseKind(draw: number, shares: Readonly<Record<Exclude<Kind, 'good'>, number>>): Kind {
  if (draw < shares.invalid) return 'invalid'
  if (draw < shares.invalid + shares.failing) return 'failing'
  return draw < shares.invalid + shares.failing + shares.poison ? 'poison' : 'good'
}
