/** What the parts of this relay learn from its other replicas, and they from it. */
import type { Clock } from './clock.ts'
import type { Delivery } from './delivery/delivery.ts'
import { isCloseReason, type LearnedGate } from './delivery/gate.ts'
import { codeOf, type Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Shared, SharedGate } from './store/shared.ts'
import type { LaneKey } from './store/store.ts'
import type { Vault } from './vault/vault.ts'

export interface ReplicasOptions {
  readonly shared: Shared
  readonly vault: Vault
  readonly delivery: Delivery
  readonly metrics: Metrics
  readonly log: Log
  readonly clock: Clock
}

const RELOAD_AGAIN_MS = 1000

/** From now on until the store is closed. */
export function joinReplicas({ shared, vault, delivery, metrics, log, clock }: ReplicasOptions): void {
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
      case 'lanes':
        for (const lane of change.lanes) delivery.wake(lane)
        return
      case 'gate': {
        const learned = toLearned(change.gate)
        if (learned !== undefined) delivery.learn(toTarget(change.lane), learned)
        return
      }
      case 'leases_lost':
        log.error(
          { reason: 'leases_lost' },
          'the store did not hear of this relay for long, others took over',
        )
        delivery.letGoOfAll()
    }
  })
  // What changed while this relay started was told to nobody here.
  reload()
  metrics.gauge('pinrelay_replicas', 'Relays that share the store and are alive.', async () =>
    shared.replicas().then(
      ({ length }) => length,
      () => 0,
    ),
  )
}

/** What others learned before this relay came. */
export async function readGates(shared: Shared, delivery: Delivery): Promise<void> {
  for (const { lane, gate } of await shared.gates()) {
    const learned = toLearned(gate)
    if (learned !== undefined) delivery.learn(toTarget(lane), learned)
  }
}

/** Told in the background: a store that is away must not hold a verdict up, and the others find out by themselves. */
export function createGateTeller(
  shared: Shared | undefined,
): (target: LaneKey | 'all', gate: LearnedGate) => void {
  // One after the other: an opening must not be overtaken by the closing before it.
  let last: Promise<unknown> = Promise.resolve()
  return (target, gate) => {
    const told: SharedGate = gate.status === 'open' ? { status: 'open', reason: '', forMs: 0 } : { ...gate }
    if (shared === undefined) return
    const lane = target === 'all' ? ALL_LANES : target
    last = last.then(() => shared.putGate(lane, told)).catch(() => undefined)
  }
}

/** No account has an empty name. */
const ALL_LANES: LaneKey = { adAccountId: '', isTest: false }

function toTarget(lane: LaneKey): LaneKey | 'all' {
  return lane.adAccountId === ALL_LANES.adAccountId ? 'all' : lane
}

/** A word that this version does not know is of a newer one. */
function toLearned({ status, reason, forMs = 0 }: SharedGate): LearnedGate | undefined {
  if (status === 'open') return { status }
  return isCloseReason(reason) ? { status, reason, forMs } : undefined
}
