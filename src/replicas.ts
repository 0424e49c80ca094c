/** What the parts of this relay learn from its other replicas, and they from it. */
import { codeOf } from './errors.ts'
import { createSequence, type Clock } from './clock.ts'
import type { Delivery } from './delivery/delivery.ts'
import type { Log } from './telemetry/log.ts'
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

/** Until the store is closed; begins with what the others learned before. */
export async function joinReplicas(options: ReplicasOptions): Promise<void> {
  const { shared, vault, delivery, log, clock } = options
  /** Until it works: the change is reported once only. */
  function reload(): void {
    vault.reload().catch((error: unknown) => {
      log.error({ code: codeOf(error) }, 'vault cannot be read')
      clock.after(RELOAD_AGAIN_MS, reload)
    })
  }

  shared.onChange((change) => {
    switch (change.kind) {
      case 'vault':
        return reload()
      case 'queues':
        return change.queues.forEach((queue) => delivery.wake(queue))
      case 'breaker':
        return delivery.learn(change.queue, change.breaker)
      case 'leases_lost': {
        const phrase = 'the store did not hear of this relay for long, others took over'
        log.error({ reason: 'leases_lost' }, phrase)
        delivery.dropLeases()
      }
    }
  })
  // What changed while this relay started was not reported here.
  reload()
  for (const { queue, breaker } of await shared.breakers()) delivery.learn(queue, breaker)
}

/** In the background: an outcome must not wait for a store that is away, and the others find out by themselves. */
export function createBreakerPublisher(
  shared: Shared,
): (...change: Parameters<Shared['putBreaker']>) => void {
  // One after the other: an opening must not overwrite the closing after it.
  const { run } = createSequence()
  return (...change) => void run(() => shared.putBreaker(...change)).catch(() => undefined)
}
