/** What the parts of this relay learn from its other replicas, and they from it. */
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
}

/** From now on until the store is closed. */
export function joinReplicas({ shared, vault, delivery, metrics, log }: ReplicasOptions): void {
  shared.onChange((change) => {
    switch (change.kind) {
      case 'vault':
        vault.reload().catch((error: unknown) => log.error({ code: codeOf(error) }, 'vault cannot be read'))
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
  return (target, gate) => {
    const told: SharedGate = gate.status === 'open' ? { status: 'open', reason: '', forMs: 0 } : { ...gate }
    void shared?.putGate(target === 'all' ? ALL_LANES : target, told).catch(() => undefined)
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
