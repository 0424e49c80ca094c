import t from 'tap'
import { groupOf } from '../../src/delivery/bisect.ts'
import { ALL_QUEUES, createBreakers, type Breakers } from '../../src/delivery/breakers.ts'
import type { CanaryDecision } from '../../src/delivery/canary.ts'
import type { CallDecision } from '../../src/delivery/decision.ts'
import { Queue, type CallInFlight } from '../../src/delivery/queue.ts'
import type { CallOutcome } from '../../src/pinterest/pinterest.ts'
import type { SharedBreaker } from '../../src/store/shared.ts'
import type { QueueKey } from '../../src/store/store.ts'
import { createManualClock } from '../support/clock.ts'

const RETRY: CallDecision = { action: 'retry', reason: 'status_503' }

function answered(status: number, code?: number): CallOutcome {
  return {
    kind: 'answered',
    status,
    code,
    message: '',
    retryAfter: undefined,
    results: undefined,
    processedCount: undefined,
  }
}

function setStage() {
  const clock = createManualClock()
  const told: { target: QueueKey; breaker: SharedBreaker }[] = []
  const lines: unknown[] = []
  let changes = 0
  const log = (fields: object, phrase: string) => void lines.push({ ...fields, phrase })
  const breakers = createBreakers({
    clock,
    random: () => 0.5,
    log: { debug: log, info: log, warn: log, error: log },
    onBreaker: (target, breaker) => void told.push({ target, breaker }),
    onChangeForAll: () => void changes++,
  })
  return { clock, breakers, told, lines, changes: () => changes }
}

function callOf(breakers: Breakers, queue: Queue): CallInFlight {
  return {
    queue,
    group: groupOf([]),
    reference: { id: 'call', startedAtMs: 0 },
    token: '',
    eventCount: 1,
    isTrial: queue.breaker.status === 'open',
    isTrialForAll: breakers.all.breaker.status === 'open',
    asking: undefined,
  }
}

function fail(breakers: Breakers, code?: number): void {
  const queue = new Queue({ adAccountId: '1', isTest: false })
  breakers.ended(callOf(breakers, queue), answered(503, code), RETRY, false)
}

t.test('three answers with code 4197 open the breaker for all accounts, whichever they are of', async (t) => {
  const { breakers, lines, changes, told } = setStage()
  for (let n = 0; n < 2; n++) fail(breakers, 4197)
  fail(breakers)
  t.equal(breakers.all.breaker.status, 'closed', 'other failures do not count')
  fail(breakers, 4197)
  t.match(breakers.all.breaker, { status: 'open', reason: 'failing' })
  t.match(lines, [{ reason: 'pinterest_down', delay_ms: Number, phrase: 'all queues wait' }])
  t.match(told, [{ target: ALL_QUEUES, breaker: { status: 'open', forMs: Number } }])
  const changed = changes()
  fail(breakers)
  t.equal(changes(), changed + 1, 'a trial that fails in another way: every queue learns of the new pause')
})

t.test('replicas learn of it and of its end from each other, and do not echo it', async (t) => {
  const [one, two] = [setStage(), setStage()]
  for (let n = 0; n < 3; n++) fail(one.breakers, 4197)
  two.breakers.learn(two.breakers.all, one.told[0]!.breaker)
  t.same(two.breakers.all.breaker, { ...one.breakers.all.breaker, failures: 1 })
  two.breakers.learn(two.breakers.all, { status: 'closed', reason: '', forMs: 0 })
  t.equal(two.breakers.all.breaker.status, 'closed')
  t.equal(two.changes(), 2)
  t.same(two.told, [])
})

t.test('a refusal of a token that was replaced meanwhile moves nothing', async (t) => {
  const { breakers, told } = setStage()
  const queue = new Queue({ adAccountId: '1', isTest: false })
  const decision: CanaryDecision = { action: 'hold', reason: 'unauthorized' }
  breakers.ended(callOf(breakers, queue), answered(401), decision, true)
  t.equal(queue.breaker.status, 'closed')
  breakers.ended(callOf(breakers, queue), answered(401), decision, false)
  t.match(queue.breaker, { status: 'open', reason: 'unauthorized' })
  t.match(told, [{ target: queue.key, breaker: { reason: 'unauthorized' } }])
})
