/** Shops as volume is judged by: what they send per slot, and what the judge says of it. */
import type { Test } from 'tap'
import {
  DAY_SLOTS,
  HISTORY_SLOTS,
  judgeVolume,
  type VolumeJudgement,
  type VolumeState,
} from '../../src/telemetry/volume-judge.ts'
import { createRandom } from '../support/random.ts'

function poisson(mean: number, random: () => number): number {
  if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * gauss(random)))
  let product = random()
  let count = 0
  for (const limit = Math.exp(-mean); product > limit; product *= random()) count += 1
  return count
}

function gauss(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

/** A shop: nights are quiet, weekends have half as much, and each day is a little different. Per slot. */
export function shop(eventsPerDay: number): (slot: number) => number {
  return (slot) => {
    const hour = (slot / DAY_SLOTS) * 24
    const rhythm = 1 + 0.9 * Math.sin((2 * Math.PI * (hour - 9)) / 24)
    const isWeekend = Math.floor(slot / DAY_SLOTS) % 7 >= 5
    return (eventsPerDay / DAY_SLOTS) * rhythm * (isWeekend ? 0.5 : 1)
  }
}

export interface Run {
  /** One judgement after each slot. */
  readonly states: VolumeState[]
  readonly last: VolumeJudgement
  readonly marks: number
}

export function run(meanOf: (slot: number) => number, slots: number, seed = 1): Run {
  const random = createRandom(seed).next
  const counts: number[] = []
  let judgement: VolumeJudgement | undefined
  const states: VolumeState[] = []
  let marks = 0
  for (let slot = 0; slot < slots; slot++) {
    counts.unshift(poisson(meanOf(slot), random))
    const before = judgement?.state
    judgement = judgeVolume(Uint32Array.from(counts.slice(0, HISTORY_SLOTS)), judgement)
    states.push(judgement.state)
    const isMark = judgement.state === 'drop' || judgement.state === 'surge'
    if (isMark && before !== judgement.state) marks += 1
  }
  return { states, last: judgement!, marks }
}

/** How many slots after `from` the first mark of this kind came. */
export function delayOf({ states }: Run, from: number, state: VolumeState): number {
  return states.slice(from).indexOf(state)
}

export const WEEK = 7 * DAY_SLOTS

/** Four usual weeks of shops of every size: as good as never is anything marked. */
export function judgeUsualWeeks(t: Test, seeds: readonly number[]): void {
  let marks = 0
  let runs = 0
  for (const eventsPerDay of [1, 5, 20, 100, 1000, 20_000, 500_000]) {
    for (const seed of seeds) {
      const seen = run(shop(eventsPerDay), 4 * WEEK, seed)
      runs += 1
      marks += seen.marks
      if (seen.marks > 0) t.comment(`${eventsPerDay} a day, seed ${seed}: ${seen.marks}`)
      t.not(seen.last.state, 'learning')
    }
  }
  t.ok(marks <= runs / 80, `${marks} false marks in ${runs} times four weeks`)
}
