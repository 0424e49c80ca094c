import t from 'tap'
import { batchOf } from '../../src/delivery/batch.ts'
import { groupOf } from '../../src/delivery/bisect.ts'
import { type Breaker, type OpenReason, CLOSED } from '../../src/delivery/breakers.ts'
import { Queue, type CallInFlight } from '../../src/delivery/queue.ts'
import { blockerOf, stopOf, type Conditions, type Blocker } from '../../src/delivery/scheduler.ts'
import { joinEvents } from '../support/payload.ts'

const NOW = 1000

function open(reason: OpenReason, untilMs: number): Breaker {
  return { status: 'open', reason, untilMs, failures: 3 }
}

interface Given {
  readonly events?: number
  readonly restsUntilMs?: number
  readonly breaker?: Breaker
  readonly calls?: number
  readonly isLeasing?: boolean
  readonly hasMoreInStore?: boolean
  readonly leaseAgainMs?: number
  readonly conditions?: Partial<Conditions>
}

function sliceOf(eventCount: number) {
  const events = Array.from({ length: eventCount }, () => '{}')
  return batchOf({
    batchId: 1,
    adAccountId: '1',
    isTest: false,
    payload: joinEvents(events),
    eventCount,
    acknowledged: [],
    oldestEventTimeS: 0,
    receivedAtMs: 0,
    attempts: 0,
    isReplay: false,
    history: [],
  }).slice
}

function callOf(queue: Queue, isTrialForAll: boolean): CallInFlight {
  return {
    queue,
    group: groupOf([]),
    reference: { id: 'call', startedAtMs: 0 },
    token: '',
    eventCount: 1,
    isTrial: false,
    isTrialForAll,
    asking: undefined,
  }
}

function stage({ events = 1, restsUntilMs, breaker = CLOSED, calls = 0, conditions, ...rest }: Given) {
  const queue = new Queue({ adAccountId: '1', isTest: false })
  if (events > 0) queue.add(sliceOf(events))
  if (restsUntilMs !== undefined) queue.rest(groupOf([sliceOf(1)]), restsUntilMs)
  queue.breaker = breaker
  for (let n = 0; n < calls; n++) queue.calls.add(callOf(queue, false))
  Object.assign(queue, rest)
  const all: Conditions = {
    nowMs: NOW,
    halt: undefined,
    breakerForAll: CLOSED,
    inFlight: queue.calls,
    callsInFlight: 2,
    callsInFlightTotal: 4,
    isStoreBehind: false,
    ...conditions,
  }
  return { queue, conditions: all }
}

const never = Infinity
const trialOut = new Set([callOf(new Queue({ adAccountId: '2', isTest: false }), true)])
const down = open('failing', 1500)
const over = open('failing', NOW)

const cases: readonly (readonly [string, Given, Blocker | undefined])[] = [
  ['events are ready', {}, undefined],
  ['nothing waits', { events: 0 }, { reason: 'nothing_ready', untilMs: never }],
  ['all of it rests', { events: 0, restsUntilMs: 1200 }, { reason: 'nothing_ready', untilMs: 1200 }],
  [
    'its turn to lease comes',
    { events: 0, hasMoreInStore: true },
    { reason: 'nothing_ready', untilMs: never },
  ],
  [
    'the store could not lease',
    { events: 0, hasMoreInStore: true, leaseAgainMs: 1700, restsUntilMs: 1900 },
    { reason: 'nothing_ready', untilMs: 1700 },
  ],
  ['the store brings more', { isLeasing: true }, { reason: 'leasing', untilMs: never }],
  ['it brings more than fits', { isLeasing: true, events: 1000 }, undefined],
  [
    'it brings something',
    { isLeasing: true, events: 0, restsUntilMs: 1300 },
    { reason: 'leasing', untilMs: 1300 },
  ],
  ['an operator paused it', { conditions: { halt: 'paused' } }, { reason: 'paused', untilMs: never }],
  ['paused and empty', { events: 0, conditions: { halt: 'paused' } }, { reason: 'paused', untilMs: never }],
  [
    'its account is not registered',
    { conditions: { halt: 'no_account' } },
    { reason: 'no_account', untilMs: never },
  ],
  ['its breaker is open', { breaker: open('rate_limited', 1001) }, { reason: 'rate_limited', untilMs: 1001 }],
  [
    'its breaker is open, its events are in the store',
    { events: 0, hasMoreInStore: true, breaker: open('forbidden', 1001) },
    { reason: 'forbidden', untilMs: 1001 },
  ],
  ['a trial may leave', { breaker: over }, undefined],
  ['the trial is out', { breaker: over, calls: 1 }, { reason: 'no_slot', untilMs: never }],
  ['a slot is free', { calls: 1 }, undefined],
  ['no slot is free', { calls: 2 }, { reason: 'no_slot', untilMs: never }],
  ['Pinterest is down', { conditions: { breakerForAll: down } }, { reason: 'pinterest_down', untilMs: 1500 }],
  [
    'the longer pause counts',
    { breaker: open('failing', 1800), conditions: { breakerForAll: down } },
    { reason: 'pinterest_down', untilMs: 1800 },
  ],
  [
    'what a person has to mend goes first',
    { breaker: open('unauthorized', 1200), conditions: { breakerForAll: down } },
    { reason: 'unauthorized', untilMs: 1500 },
  ],
  ['the trial for all may leave', { conditions: { breakerForAll: over } }, undefined],
  [
    'the trial for all is out',
    { conditions: { breakerForAll: over, inFlight: trialOut } },
    { reason: 'pinterest_down', untilMs: never },
  ],
  [
    'all slots of the relay are busy',
    { conditions: { callsInFlightTotal: 1, inFlight: trialOut } },
    { reason: 'all_slots_busy', untilMs: never },
  ],
  ['outcomes wait', { conditions: { isStoreBehind: true } }, { reason: 'store_behind', untilMs: never }],
]

for (const [name, given, blocker] of cases) {
  t.test(name, async (t) => {
    const { queue, conditions } = stage(given)
    t.strictSame(blockerOf(queue, conditions), blocker)
  })
}

t.test(
  'a queue counts as stopped until its trial has succeeded, also when the trial may leave',
  async (t) => {
    const { queue, conditions } = stage({ breaker: over })
    t.strictSame(stopOf(queue, conditions), { reason: 'failing', untilMs: NOW })
    queue.breaker = CLOSED
    t.equal(stopOf(queue, conditions), undefined)
  },
)
