/**
 * A store that is too simple to be wrong: arrays and sets in memory. Any sequence of operations must leave a real store
 * with the same answers, and with books that balance, whatever happens in between.
 */
import fc from 'fast-check'
import type { Test } from 'tap'
import { splitEvents } from '../../src/store/payload.ts'
import type { Books, DeadEvent } from '../../src/store/store.ts'
import type { Ground, OpenedStore } from '../contract/store.ts'
import { askAll, LIVE, makeDead, makeParcel, NOW_MS, NOW_S, TEST } from './parcels.ts'

interface ModelParcel {
  readonly parcelId: number
  readonly isTest: boolean
  readonly ids: readonly string[]
  readonly oldestEventTimeS: number
  readonly pending: Set<number>
  attempts: number
  isHeld: boolean
}

interface Model {
  parcels: ModelParcel[]
  /** Live event id → the parcel that brought it. */
  readonly seen: Map<string, number>
  readonly books: { -readonly [K in keyof Books]: Books[K] }
  deadLetters: number
}

interface Real {
  readonly ground: Ground
  opened: OpenedStore
}

type Command = fc.AsyncCommand<Model, Real>

/** Runs random sequences of operations against a fresh ground each. */
export async function testAgainstModel(
  t: Test,
  layGround: () => Promise<Ground>,
  numRuns: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.commands([anyOf(COMMANDS)], { maxCommands: 60, size: 'max' }), async (commands) => {
      const ground = await layGround()
      const real: Real = { ground, opened: await ground.open() }
      const setup = () => ({ model: makeModel(), real })
      try {
        await fc.asyncModelRun(setup, commands)
      } finally {
        await real.opened.close()
      }
    }),
    { numRuns },
  )
  t.pass('the store did what the model did')
}

function makeModel(): Model {
  const books = { received: 0, delivered: 0, rejected: 0, expired: 0, queued: 0, duplicate: 0, refused: 0 }
  return { parcels: [], seen: new Map(), books, deadLetters: 0 }
}

const EVENT_IDS = Array.from({ length: 12 }, (_, index) => `event-${index}`)
const positions = fc.uniqueArray(fc.nat(3), { maxLength: 3 })

const COMMANDS: fc.Arbitrary<Command>[] = [
  fc
    .record({
      ids: fc.array(fc.constantFrom(...EVENT_IDS), { minLength: 1, maxLength: 4 }),
      isTest: fc.boolean(),
      agesS: fc.array(fc.constantFrom(0, 60, 3599, 3600, 7200), { minLength: 4, maxLength: 4 }),
    })
    .map(({ ids, isTest, agesS }) => commit(ids, isTest, agesS)),
  fc
    .record({ which: fc.nat(), delivered: fc.option(positions), rejected: positions, expired: positions })
    .map(({ which, delivered, rejected, expired }) => settle(which, delivered, rejected, expired)),
  fc.record({ which: fc.nat(), attempts: fc.nat(5) }).map(({ which, attempts }) => release(which, attempts)),
  fc
    .record({ isTest: fc.boolean(), maxEvents: fc.nat(6) })
    .map(({ isTest, maxEvents }) => lease(isTest, maxEvents)),
  fc.constantFrom(forgetSeen(), reopen()),
]

/** Each as likely as the others: fast-check's own choice prefers the first ones by far. */
function anyOf(commands: readonly fc.Arbitrary<Command>[]): fc.Arbitrary<Command> {
  return fc.nat(commands.length - 1).chain((index) => commands[index]!)
}

function commit(ids: readonly string[], isTest: boolean, agesS: readonly number[]): Command {
  return command(`commit ${ids.join(' ')}${isTest ? ' as test' : ''}`, async (model, { opened }) => {
    const eventTimesS = ids.map((_, index) => NOW_S - agesS[index]!)
    const { parcelId, duplicates } = await opened.store.commit(makeParcel(ids, { isTest, eventTimesS }))
    const fresh = ids.map((_, index) => index).filter((index) => isTest || !isSeen(model, ids, index))
    const wanted = ids.map((_, index) => index).filter((index) => !fresh.includes(index))
    assertSame(duplicates, wanted, 'duplicates')
    assertSame(parcelId === undefined, fresh.length === 0, 'nothing stored')
    model.books.received += ids.length
    model.books.duplicate += wanted.length
    model.books.queued += fresh.length
    if (parcelId === undefined) return
    for (const index of isTest ? [] : fresh) model.seen.set(ids[index]!, parcelId)
    model.parcels.push({
      parcelId,
      isTest,
      ids: fresh.map((index) => ids[index]!),
      oldestEventTimeS: Math.min(...fresh.map((index) => eventTimesS[index]!)),
      pending: new Set(fresh.keys()),
      attempts: 0,
      isHeld: true,
    })
  })
}

function settle(
  which: number,
  delivered: readonly number[] | null,
  rejected: readonly number[],
  expired: readonly number[],
): Command {
  const text = `settle #${which} delivered ${delivered?.join() ?? 'rest'} rejected ${rejected.join()}`
  return command(`${text} expired ${expired.join()}`, async (model, { opened }) => {
    const parcel = pick(
      model.parcels.filter(({ isHeld }) => isHeld),
      which,
    )
    if (parcel === undefined) return
    const isThere = (index: number) => index < parcel.ids.length
    const dead: DeadEvent[] = [
      ...rejected.filter(isThere).map((index) => makeDead(index)),
      ...expired.filter(isThere).map((index) => makeDead(index, 'expired')),
    ]
    const settlement = {
      parcelId: parcel.parcelId,
      delivered: delivered === null ? ('rest' as const) : delivered.filter(isThere),
      dead,
      settledAtMs: NOW_MS,
    }
    await opened.store.settle([settlement])
    for (const { index, status } of dead) {
      if (!parcel.pending.delete(index)) continue
      model.books[status]++
      model.books.queued--
      model.deadLetters++
      const id = parcel.ids[index]!
      if (!parcel.isTest && model.seen.get(id) === parcel.parcelId) model.seen.delete(id)
    }
    const rest = settlement.delivered === 'rest' ? [...parcel.pending] : settlement.delivered
    for (const index of rest) {
      if (!parcel.pending.delete(index)) continue
      model.books.delivered++
      model.books.queued--
    }
    if (parcel.pending.size === 0) model.parcels = model.parcels.filter((other) => other !== parcel)
  })
}

function release(which: number, attempts: number): Command {
  return command(`release #${which}`, async (model, { opened }) => {
    const parcel = pick(
      model.parcels.filter(({ isHeld }) => isHeld),
      which,
    )
    if (parcel === undefined) return
    await opened.store.release([{ parcelId: parcel.parcelId, attempts }])
    parcel.isHeld = false
    parcel.attempts = attempts
  })
}

function lease(isTest: boolean, maxEvents: number): Command {
  return command(`lease ${maxEvents}${isTest ? ' as test' : ''}`, async (model, { opened }) => {
    const leased = await opened.store.lease(askAll({ ...(isTest ? TEST : LIVE), maxEvents }))
    const isLate = (parcel: ModelParcel) => Number(parcel.oldestEventTimeS <= NOW_S - 3600)
    const waiting = model.parcels
      .filter((parcel) => parcel.isTest === isTest && !parcel.isHeld)
      .sort(
        (a, b) => isLate(a) - isLate(b) || a.oldestEventTimeS - b.oldestEventTimeS || a.parcelId - b.parcelId,
      )
    let events = 0
    const wanted = waiting.filter((parcel, index) => {
      events += parcel.pending.size
      return index === 0 || events <= maxEvents
    })
    assertSame(
      leased.map(({ parcelId, attempts, settled, payload }) => [
        parcelId,
        attempts,
        settled,
        eventIds(payload),
      ]),
      wanted.map((parcel) => [parcel.parcelId, parcel.attempts, settledOf(parcel), parcel.ids]),
      'leased',
    )
    for (const parcel of wanted) parcel.isHeld = true
  })
}

function forgetSeen(): Command {
  return command('forgetSeen', async (model, { opened }) => {
    await opened.store.forgetSeen(NOW_MS + 1)
    const queued = new Set(model.parcels.map(({ parcelId }) => parcelId))
    for (const [id, parcelId] of model.seen) if (!queued.has(parcelId)) model.seen.delete(id)
  })
}

function reopen(): Command {
  return command('reopen', async (model, real) => {
    await real.opened.close()
    real.opened = await real.ground.open()
    for (const parcel of model.parcels) parcel.isHeld = false
  })
}

/** An operation that is always possible, followed by a look at everything that can be seen from outside. */
function command(text: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return {
    check: () => true,
    async run(model, real) {
      await run(model, real)
      const { store } = real.opened
      assertSame(await store.books({}), model.books, 'books')
      const events = (await store.backlog()).reduce((sum, lane) => sum + lane.events, 0)
      assertSame(events, model.books.queued, 'backlog')
      assertSame((await store.deadLetters({ limit: 1000 })).length, model.deadLetters, 'dead letters')
    },
    toString: () => text,
  }
}

function isSeen(model: Model, ids: readonly string[], index: number): boolean {
  return model.seen.has(ids[index]!) || ids.indexOf(ids[index]!) < index
}

function settledOf({ ids, pending }: ModelParcel): number[] {
  return ids.map((_, index) => index).filter((index) => !pending.has(index))
}

function eventIds(payload: Uint8Array): string[] {
  return splitEvents(payload).map((json) => (JSON.parse(json) as { event_id: string }).event_id)
}

function pick<T>(items: readonly T[], which: number): T | undefined {
  return items[which % Math.max(1, items.length)]
}

function assertSame(found: unknown, wanted: unknown, what: string): void {
  const [foundText, wantedText] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (foundText !== wantedText) throw new Error(`${what}: ${foundText}, not ${wantedText}`)
}
