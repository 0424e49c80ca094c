/**
 * What the pure stages cost per event, on the posts of the benchmark with raw data, beside the floor that no way of doing
 * it goes under: JSON.parse, crypto.hash of the same values, JSON.stringify, and nothing else. Timed in turns, medians.
 * The hashes of places come from the relay's cache, after the first round those of the cities, too: neither side makes them.
 */
import { hash } from 'node:crypto'
import { prepareEvent, type PrepareContext } from '../src/events/prepare.ts'
import { sha256Hex } from '../src/events/hash.ts'
import { FIELDS, normalizeField } from '../src/events/normalize/field.ts'
import { HASHED_FIELD_NAMES } from '../test/support/user-data-fields.ts'
import type { RawObject } from '../src/events/reading.ts'
import { regionOf } from '../src/events/user-data.ts'
import { readBody } from '../src/events/body.ts'
import { median } from './measure.ts'
import { createPosts } from './posts.ts'

export interface StageTime {
  readonly name: 'parse' | 'check' | 'normalize' | 'hash' | 'serialize' | 'all'
  readonly us: number
  /** Undefined where the floor has nothing of the kind. */
  readonly floorUs: number | undefined
}

const EVENTS = 1000

interface RawEvent {
  readonly user_data: RawObject
}

/** Blocks for some 50 ms per round. */
export function measureStages(rounds: number): StageTime[] {
  const context: PrepareContext = {
    nowMs: Date.now(),
    accountCountry: 'US',
    dobFormat: undefined,
    maxEventAgeMs: 168 * 3_600_000,
    isTest: false,
    bots: 'send',
  }
  const region = regionOf({}, context)
  const posts = createPosts('raw', EVENTS)
  const body = Buffer.from(posts.next())
  const text = body.toString()
  const events = (JSON.parse(text) as { data: readonly RawEvent[] }).data
  const hashedFields = HASHED_FIELD_NAMES.filter((field) => FIELDS[field].shared === undefined)
  const values = events.map(({ user_data }) => normalizeAll(user_data, hashedFields))
  const prepared = events.map((event) => {
    const one = prepareEvent(event, context)
    if (one.status !== 'prepared') throw new Error(one.reason)
    return JSON.parse(one.json) as unknown
  })

  function normalizeAll(userData: RawObject, names = HASHED_FIELD_NAMES): string[] {
    return names.flatMap((field) => {
      const value = userData[field]
      const spelling = value === undefined ? undefined : normalizeField(FIELDS[field], value, region)
      return spelling?.status === 'read' ? [spelling.value] : []
    })
  }

  const works = {
    parse: () => countEvents(body),
    prepare: () => events.reduce((sum, event) => sum + prepareEvent(event, context).status.length, 0),
    normalize: () => events.reduce((sum, { user_data }) => sum + normalizeAll(user_data).length, 0),
    hash: () => values.flat().reduce((sum, value) => sum + sha256Hex(value).length, 0),
    serialize: () => prepared.reduce<number>((sum, event) => sum + JSON.stringify(event).length, 0),
    floorParse: () => JSON.parse(text) as unknown,
    floorHash: () => values.flat().reduce((sum, value) => sum + hash('sha256', value, 'hex').length, 0),
  }
  const timesUs = new Map(Object.keys(works).map((name) => [name, [] as number[]]))
  for (let round = -2; round < rounds; round++) {
    for (const [name, work] of Object.entries(works)) {
      const startedMs = performance.now()
      work()
      if (round >= 0) timesUs.get(name)!.push((1000 * (performance.now() - startedMs)) / EVENTS)
    }
  }
  const of = (name: keyof typeof works) => median(timesUs.get(name)!)
  const check = of('prepare') - of('normalize') - of('hash') - of('serialize')
  const floorUs = of('floorParse') + of('floorHash') + of('serialize')
  return [
    { name: 'parse', us: of('parse'), floorUs: of('floorParse') },
    // What is left of preparing an event without the other three.
    { name: 'check', us: Math.max(0, check), floorUs: undefined },
    { name: 'normalize', us: of('normalize'), floorUs: undefined },
    { name: 'hash', us: of('hash'), floorUs: of('floorHash') },
    { name: 'serialize', us: of('serialize'), floorUs: of('serialize') },
    { name: 'all', us: of('parse') + of('prepare'), floorUs },
  ]
}

function countEvents(body: Buffer): number {
  const reading = readBody(body)
  let step = reading.next()
  while (step.done !== true) step = reading.next()
  return Array.from(step.value()).length
}
