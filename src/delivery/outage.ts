/**
 * The breaker for all accounts: Pinterest says of itself that it is down (code 4197). Its states are a gate's (see
 * gate.ts): after some such answers in a row no lane calls, but for one trial in all when the pause is over.
 *
 * Only that code closes it: an account that nobody answers says nothing about the others. Lanes that asked meanwhile are
 * blocked here, and asked again when the trial has ended or may leave.
 */
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { CallOutcome } from '../pinterest/outcome.ts'
import { afterCall, learn, learnedOf, OPEN, type CallResult, type Gate, type LearnedGate } from './gate.ts'
import type { Verdict } from './verdict.ts'

export interface Outage<L> {
  /** Whether a call may leave; if not, the lane is asked again in time. */
  passes(lane: L): boolean
  /** The lane was refused, and is asked again when that may change. */
  blocks(lane: L): boolean
  /** A call leaves: answers whether it is the trial. */
  left(): boolean
  ended(outcome: CallOutcome, verdict: Verdict, wasTrial: boolean): void
  /** Another replica learned this by a call of its own. */
  learn(learned: LearnedGate): void
  /** When the relay tries again, monotonic; undefined while there is no outage. */
  untilMs(): number | undefined
  close(): void
}

export interface OutageOptions<L> {
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  readonly log: Log
  /** The lane may call again, perhaps. */
  readonly onChange: (lane: L) => void
  /** It began, goes on or is over, by a call of this process. */
  readonly onGate?: (learned: LearnedGate) => void
}

/** Pinterest's code for "the service is not available", https://developers.pinterest.com/docs/api/v5/ */
const SERVICE_UNAVAILABLE_CODE = 4197

export function createOutage<L>(options: OutageOptions<L>): Outage<L> {
  const { clock, random, log, onChange } = options
  const blocked = new Set<L>()
  let gate: Gate = OPEN
  let isTrialOut = false
  let cancel = () => {}

  function mayLeave(): boolean {
    return gate.status === 'open' || (!isTrialOut && gate.untilMs <= clock.monotonicMs())
  }

  /** Not while a trial is out: its end unblocks. */
  function setTimer(): void {
    if (gate.status === 'open' || isTrialOut) return
    cancel()
    cancel = clock.after(Math.max(1, gate.untilMs - clock.monotonicMs()), unblock)
  }

  function unblock(): void {
    const lanes = [...blocked]
    blocked.clear()
    for (const lane of lanes) onChange(lane)
  }

  function move(result: CallResult, wasTrial: boolean): void {
    const before = gate
    become(afterCall(gate, result, wasTrial, clock.monotonicMs(), random()))
    const isNews = gate !== before && (gate.status === 'closed' || before.status === 'closed')
    if (isNews) options.onGate?.(learnedOf(gate, clock.monotonicMs()))
  }

  function become(next: Gate): void {
    const before = gate.status
    gate = next
    cancel()
    if (gate.status === 'closed') {
      setTimer()
      const delayMs = gate.untilMs - clock.monotonicMs()
      if (before === 'open') log.error({ reason: 'outage', delay_ms: Math.round(delayMs) }, 'all lanes wait')
    } else {
      if (before === 'closed') log.warn({ reason: 'outage' }, 'all lanes go on')
      unblock()
    }
  }

  return {
    passes(lane) {
      if (mayLeave()) return true
      blocked.add(lane)
      // Anew each time: whoever is refused is waited for.
      setTimer()
      return false
    },
    blocks: (lane) => blocked.has(lane),
    left() {
      isTrialOut ||= gate.status === 'closed'
      return gate.status === 'closed'
    },
    ended(outcome, verdict, wasTrial) {
      if (wasTrial) isTrialOut = false
      const result = readResult(outcome, verdict, wasTrial)
      // What was in flight when it closed says nothing new.
      if (result && (wasTrial || gate.status === 'open')) move(result, wasTrial)
    },
    learn(learned) {
      const next = learn(gate, learned, clock.monotonicMs())
      if (next !== gate) become(next)
    },
    untilMs: () => (gate.status === 'closed' ? gate.untilMs : undefined),
    close() {
      cancel()
      blocked.clear()
    },
  }
}

/** Undefined: no news about the service. A trial always brings some. */
function readResult(outcome: CallOutcome, { action }: Verdict, wasTrial: boolean): CallResult | undefined {
  if (action !== 'retry') return { kind: 'answered' }
  const isOut = outcome.kind === 'answered' && outcome.code === SERVICE_UNAVAILABLE_CODE
  return isOut || wasTrial ? { kind: 'failed' } : undefined
}
