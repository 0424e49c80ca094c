/** What the parts of this relay learn from its other replicas, and they from it. */
import type { Clock } from './clock.ts'
import type { Delivery } from './delivery/delivery.ts'
import { isOpenReason, type LearnedBreaker } from './delivery/breaker.ts'
import { codeOf, type Log } from './telemetry/log.ts'
import type { Shared, SharedBreaker } from './store/shared.ts'
import type { QueueKey } from './store/store.ts'
import type { Vault } from './vault/vault.ts'

export interface ReplicasOptions {
  readonly shared: Shared
  readonly vault: Vault
  readonly delivery: Delivery
  readonly log: Log
  readonly clock: Clock
}

const RELOAD_AGAIN_MS = 1000

/** From now on until the store is closed. */
export function joinReplicas({ shared, vault, delivery, log, clock }: ReplicasOptions): void {
  /** Until it works: the news does not come a second time. */
  function reload(): void {
    vault.reload().catch((error: unknown) => {
      log.error({ code: codeOf(error) }, 'vault cannot be read')
      clock.after(RELOAD_AGAIN_MS, reload)
    })
  }

  shared.onChange((change) => {
    switch (change.kind) {
      case 'vault':
        reload()
        return
      case 'queues':
        for (const queue of change.queues) delivery.wake(queue)
        return
      case 'breaker': {
        const learned = toLearned(change.breaker)
        if (learned !== undefined) delivery.learn(toTarget(change.queue), learned)
        return
      }
      case 'leases_lost':
        log.error(
          { reason: 'leases_lost' },
          'the store did not hear of this relay for long, others took over',
        )
        delivery.dropLeases()
    }
  })
  // What changed while this relay started was told to nobody here.
  reload()
}

/** What others learned before this relay came. */
export async function readBreakers(shared: Shared, delivery: Delivery): Promise<void> {
  for (const { queue, breaker } of await shared.breakers()) {
    const learned = toLearned(breaker)
    if (learned !== undefined) delivery.learn(toTarget(queue), learned)
  }
}

/** Told in the background: a store that is away must not hold an outcome up, and the others find out by themselves. */
export function createBreakerTeller(
  shared: Shared | undefined,
): (target: QueueKey | 'all', breaker: LearnedBreaker) => void {
  // One after the other: a closing must not be overtaken by the opening before it.
  let last: Promise<unknown> = Promise.resolve()
  return (target, breaker) => {
    const told: SharedBreaker =
      breaker.status === 'closed' ? { status: 'closed', reason: '', forMs: 0 } : { ...breaker }
    if (shared === undefined) return
    const queue = target === 'all' ? ALL_QUEUES : target
    last = last.then(() => shared.putBreaker(queue, told)).catch(() => undefined)
  }
}

/** No account has an empty name. */
const ALL_QUEUES: QueueKey = { adAccountId: '', isTest: false }

function toTarget(queue: QueueKey): QueueKey | 'all' {
  return queue.adAccountId === ALL_QUEUES.adAccountId ? 'all' : queue
}

/** A word that this version does not know is of a newer one. */
function toLearned({ status, reason, forMs = 0 }: SharedBreaker): LearnedBreaker | undefined {
  if (status === 'closed') return { status }
  return isOpenReason(reason) ? { status, reason, forMs } : undefined
}
