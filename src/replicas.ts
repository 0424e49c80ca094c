/** What the parts of this relay learn from its other replicas, and they from it. */
import type { Clock } from './clock.ts'
import type { Delivery } from './delivery/delivery.ts'
import { codeOf, type Log } from './telemetry/log.ts'
import type { Shared } from './store/shared.ts'
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
      case 'breaker':
        return delivery.learn(change.queue, change.breaker)
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
  for (const { queue, breaker } of await shared.breakers()) delivery.learn(queue, breaker)
}

/** Told in the background: a store that is away must not hold an outcome up, and the others find out by themselves. */
export function createBreakerTeller(shared: Shared): (...told: Parameters<Shared['putBreaker']>) => void {
  // One after the other: a closing must not be overtaken by the opening before it.
  let last = Promise.resolve()
  return (...told) => {
    last = last.then(() => shared.putBreaker(...told)).catch(() => undefined)
  }
}
