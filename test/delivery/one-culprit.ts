/** The bisect for culprits, played against a Pinterest that refuses a call without a word when it holds one. */
import type { Test } from 'tap'
import { cut, batchOf, type Slice } from '../../src/delivery/batch.ts'
import {
  afterRefusal,
  afterSuccess,
  again,
  groupOf,
  membersOf,
  trusted,
  type Group,
  type Refused,
} from '../../src/delivery/bisect.ts'
import { afterCanary, afterRefusedCall } from '../../src/delivery/canary.ts'
import type { Refusal } from '../../src/delivery/decision.ts'
import { splitEvents } from '../../src/store/payload.ts'
import { joinEvents } from '../support/payload.ts'

export function makeSlice(batchId: number, events: readonly string[]): Slice {
  return batchOf({
    batchId,
    adAccountId: '1',
    isTest: false,
    payload: joinEvents(events),
    eventCount: events.length,
    acknowledged: [],
    oldestEventTimeS: 0,
    receivedAtMs: 0,
    attempts: 0,
    isReplay: false,
    history: [],
  }).slice
}

/** What a Pinterest, or who stands before it, answers to a call with these events, the `n`th; to the canary without any. */
export type Answer = (events: readonly string[], n: number) => 'taken' | Refusal['action']

/** Plays the bisect and the canaries until nothing waits, or the canary is refused. */
export function play(slices: readonly Slice[], answer: Answer) {
  const delivered: string[] = []
  const rejected: string[] = []
  let calls = 0
  let canaries = 0
  let group: Group | undefined = groupOf(slices)
  while (group) {
    const events: string[] = eventsOf(group.slices)
    const answered = answer(events, calls++)
    if (answered === 'taken') {
      delivered.push(...events)
      group = afterSuccess(group, cut)
      continue
    }
    const refusal: Refusal = { action: answered, reason: '', message: '' }
    let step: 'ask' | 'again' | 'bisect' = afterRefusedCall(refusal, group)
    if (step === 'ask') {
      canaries += 1
      if (answer([], calls++) !== 'taken') {
        return { delivered, rejected, calls, canaries, kept: eventsOf(membersOf(group)) }
      }
      step = afterCanary(refusal, group)
      group = trusted(group)
    }
    if (step === 'again') group = again(group)
    else {
      const { culprit, next }: Refused = afterRefusal(group, cut)
      if (culprit) rejected.push(...eventsOf([culprit]))
      group = next
    }
  }
  return { delivered, rejected, calls, canaries, kept: [] }
}

function eventsOf(slices: readonly Slice[]): string[] {
  return slices.flatMap(({ payload }) => splitEvents(payload))
}

/** A Pinterest that refuses a call with 400 when it holds a culprit. */
export function bisect(slices: readonly Slice[], culprits: ReadonlySet<string>) {
  return play(slices, (events) => (events.some((event) => culprits.has(event)) ? 'bisect' : 'taken'))
}

/** One culprit among 1,000, at each of these places. */
export function searchOne(t: Test, places: readonly number[]): void {
  const events = Array.from({ length: 1000 }, (_, n) => `"${n}"`)
  const costs = places.map((place) => bisect([makeSlice(1, events)], new Set([events[place]!])))
  t.equal(Math.max(...costs.map(({ calls, canaries }) => calls - canaries)), 13)
  t.ok(costs.every(({ canaries }) => canaries <= 1))
}
