/** Random faults, as in production: several at once, for one account or for all, for a moment. */
import type { FaultRule } from '../sandbox/faults.ts'
import type { Random } from '../test/support/random.ts'

/**
 * An opaque 400 is not among them: for everything it holds the queue, for most it makes dead letters of good events. A 401, 403,
 * 302 or 404 may: of an event that it meets four times, one after the other, while the canary is taken. `refusals` says what Pinterest refuses.
 */
export function randomFaults(
  random: Random,
  accounts: readonly string[],
  strength: number,
): readonly FaultRule[] {
  if (random.chance(0.25)) return []
  return Array.from({ length: random.between(1, 4) }, () => ({
    ...randomFault(random),
    probability: strength * (0.1 + 0.5 * random.next()),
    ...(random.chance(0.5) && { adAccountId: random.pick(accounts) }),
  }))
}

/** The events that Pinterest will not take, one way or the other. They come first, so that no fault hides them. */
export function refusals(failing: readonly string[], poison: readonly string[]): readonly FaultRule[] {
  const rules: FaultRule[] = []
  if (poison.length > 0) rules.push({ kind: 'poison', eventIds: [...poison] })
  if (failing.length > 0) rules.push({ kind: 'failEvents', eventIds: [...failing] })
  return rules
}

const HTML = '<html><body><h1>502 Bad Gateway</h1></body></html>'
/** Over what the relay holds of one answer. */
const HUGE_BYTES = 5 * 2 ** 20

function randomFault(random: Random): FaultRule {
  const isRecorded = random.chance(0.5)
  return random.pick<() => FaultRule>([
    () => ({ kind: 'reset', when: random.pick(['beforeBody', 'afterBody', 'afterRecording']) }),
    () => ({ kind: 'hang', isRecorded }),
    () => ({ kind: 'latency', delayMs: random.between(20, 300) }),
    () => ({ kind: 'truncated', missingBytes: random.between(1, 40) }),
    () => ({ kind: 'drip', chunkBytes: random.between(20, 2000), intervalMs: random.between(1, 100) }),
    () => ({ kind: 'wrongCount', difference: random.pick([-1, 1]) }),
    () => ({ kind: 'hugeAnswer', sizeBytes: HUGE_BYTES }),
    () => ({ kind: 'status', status: random.pick([500, 503, 504, 408]), isRecorded }),
    () => ({ kind: 'status', status: 502, body: HTML, isRecorded }),
    () => ({ kind: 'status', status: 200, body: random.pick([HTML, '', { odd: true }]), isRecorded }),
    () => ({
      kind: 'status',
      status: 429,
      headers: random.pick([{ 'retry-after': '1' }, {}, { 'retry-after': 'soon' }]),
    }),
    () => ({ kind: 'status', status: random.pick([401, 403]) }),
    () => ({ kind: 'status', status: random.pick([302, 404]), headers: { location: 'http://127.0.0.1:1/' } }),
  ])()
}
