/** Delivery's collaborators; its parts take the same names. */
import type { CallLimiter } from '../limits/call-limiter.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Pinterest } from '../pinterest/pinterest.ts'
import type { SharedBreaker } from '../store/shared.ts'
import type { QueueKey, FrontStore } from '../store/store.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import type { TokenWatch } from '../vault/token-watch.ts'
import type { Vault } from '../vault/vault.ts'

export interface DeliveryOptions {
  readonly store: FrontStore
  readonly pinterest: Pinterest
  readonly callLimiter: CallLimiter
  readonly vault: Vault
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  readonly callsInFlight: number
  readonly callsInFlightTotal: number
  readonly maxEventAgeMs: number
  /** Whether ages can be believed: the wall clock was not set a short while ago. */
  readonly isClockTrusted: () => boolean
  readonly tokenWatch: Pick<TokenWatch, 'accepted' | 'refused' | 'isReplacing'>
  readonly log: Log
  readonly metrics: Metrics
  readonly tracing: Tracing | undefined
  /** For other replicas: the circuit breaker of a queue, or the one for all accounts (`ALL_QUEUES`), from now on. */
  readonly onBreaker?: ((queue: QueueKey, breaker: SharedBreaker) => void) | undefined
}
