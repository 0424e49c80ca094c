/**
 * A store that is too simple to be wrong: arrays and sets in memory. Any sequence of operations must leave a real store
 * with the same answers, and with totals that balance, whatever happens in between.
 *
 * Each operation is planned against the model, asked of the real store, and done to the model. In a crash many are asked
 * without waiting, and the store dies somewhere among them: then what is left must be what the model has after all that
 * were acknowledged, and after none, some or all of those that came next. Operations take effect in the order in which
 * they were asked for.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { splitEvents } from '../../src/store/payload.ts'
import {
  HISTORY_LIMIT,
  type Totals,
  type DeadEvent,
  type DeadLetter,
  type DeadLetterFilter,
  type HistoryEntry,
  type LeasedBatch,
  type ExpireStep,
  type PurgeStep,
  type Receipt,
  type ReplayStep,
  type Store,
} from '../../src/store/store.ts'
import type { Ground, OpenedStore } from '../contract/store.ts'
import { askAll, makeDead, makePost, NOW_MS, NOW_S, readTrail } from './batches.ts'
import fc from '../support/fast-check.ts'

/** `serial` is the order in which they came; ids of the real store are known once it told them. */
interface ModelBatch {
  readonly serial: number
  batchId: number | undefined
  readonly isTest: boolean
  readonly isReplay: boolean
  readonly ids: readonly string[]
  readonly eventTimesS: readonly number[]
  oldestEventTimeS: number
  readonly pending: Set<number>
  attempts: number
  history: readonly HistoryEntry[]
  isHeld: boolean
}

interface ModelDeadLetter {
  id: number | undefined
  readonly isTest: boolean
  readonly eventId: string
  readonly eventTimeS: number
  readonly status: 'rejected' | 'expired'
  readonly reason: string
  readonly attempts: number
  readonly history: readonly HistoryEntry[]
}

interface Model {
  nextSerial: number
  batches: ModelBatch[]
  /** Newest first. */
  deadLetters: ModelDeadLetter[]
  /** Oldest first. */
  readonly audit: { readonly action: string; readonly counts: Record<string, number> }[]
  /** Live event id → the serial of the batch that brought it. */
  readonly seen: Map<string, number>
  readonly totals: { -readonly [K in keyof Totals]: Totals[K] }
}

interface Real {
  readonly ground: Ground
  opened: OpenedStore
  /** Every run has an account of its own, so that many share a store: opening one takes as long as a whole run. */
  readonly adAccountId: string
}

type Command = fc.AsyncCommand<Model, Real>

/** An operation with everything that it needs to know. */
interface Operation {
  /** The real store's answer. */
  ask(store: Store, adAccountId: string): Promise<unknown>
  /** Does it to the model, and holds the answer against it; without one the store died before it gave it. */
  apply(model: Model, answer?: { readonly value: unknown }): void
}

interface Plan {
  readonly text: string
  /** Undefined where the model has nothing to do it to. */
  make(model: Model): Operation | undefined
}

export interface ModelOptions {
  readonly layGround: () => Promise<Ground>
  readonly runs: number
  readonly seed?: number
  readonly onRun?: () => void
}

/** A failure is told even if its shortest form takes long to find. */
const SHRINK_MS = 15_000
/** Opening a store is slow, and a long list of dead letters is too. */
const RUNS_PER_GROUND = 40

/** Runs random sequences of operations; rejects with the shortest one that goes wrong, and its seed. */
export async function testAgainstModel({ layGround, runs, seed, onRun }: ModelOptions): Promise<void> {
  let run = 0
  let shrinkUntilMs = Infinity
  let stand: { readonly ground: Ground; opened: OpenedStore } | undefined
  const leave = async () => {
    await stand?.opened.close().catch(() => undefined)
    stand = undefined
  }
  const property = fc.asyncProperty(
    fc.commands([COMMAND], { maxCommands: 60, size: 'max' }),
    async (commands) => {
      if (performance.now() > shrinkUntilMs) return
      if (run % RUNS_PER_GROUND === 0) await leave()
      if (stand === undefined) {
        const ground = await layGround()
        stand = { ground, opened: await ground.open({ willCrash: true }) }
      }
      const real: Real = { ...stand, adAccountId: String(++run) }
      try {
        const model = makeModel()
        await fc.asyncModelRun(() => ({ model, real }), commands)
        stand.opened = real.opened
        await empty(model, real)
        onRun?.()
      } catch (error) {
        shrinkUntilMs = Math.min(shrinkUntilMs, performance.now() + SHRINK_MS)
        // Nobody knows what it is like now.
        stand.opened = real.opened
        await leave()
        throw error
      }
    },
  )
  try {
    await fc.assert(property, { numRuns: runs, ...(seed === undefined ? {} : { seed }) })
  } finally {
    await leave()
  }
}

/** Leaves nothing: the next run's expiry and trims go over all queues. Then no byte may be counted any more. */
async function empty({ batches }: Model, { opened, adAccountId }: Real): Promise<void> {
  const { store } = opened
  const leased = await leaseAll(store, adAccountId)
  const held = batches.filter(({ isHeld }) => isHeld)
  const ids = [...leased, ...held].map(({ batchId }) => batchId!)
  await store.acknowledge(
    ids.map((batchId) => ({ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS })),
  )
  await store.trim({ table: 'dead_letters', beforeMs: NOW_MS + 1, limit: 1000 })
  const { queuedBytes, deadLetterBytes } = await store.size()
  assertSame([queuedBytes, deadLetterBytes], [0, 0], 'bytes of an empty store')
}

function makeModel(): Model {
  const totals = {
    received: 0,
    delivered: 0,
    rejected: 0,
    expired: 0,
    filtered: 0,
    queued: 0,
    duplicate: 0,
    invalid: 0,
  }
  return { nextSerial: 1, batches: [], deadLetters: [], audit: [], seen: new Map(), totals }
}

// -- what is done, and how often -------------------------------------------------------------------------------------

const EVENT_IDS = Array.from({ length: 12 }, (_, index) => `event-${index}`)
const AGES_S = [0, 60, 3599, 3600, 7200]
const REASONS = ['status_503', 'timeout', 'rejected_event']
const positions = fc.uniqueArray(fc.nat(3), { maxLength: 3 })
const history = fc.array(
  fc.record({ atMs: fc.nat(1000).map((n) => NOW_MS + n), reason: fc.constantFrom(...REASONS) }),
  { maxLength: 3 },
)
const filter = fc.record(
  {
    isTest: fc.boolean(),
    status: fc.constantFrom('rejected' as const, 'expired' as const),
    reason: fc.constantFrom('invalid_value', 'too_old'),
  },
  { requiredKeys: [] },
)
/** A walk begins at the newest dead letter, or somewhere in the list. */
const start = fc.record({ limit: fc.integer({ min: 1, max: 5 }), below: fc.option(fc.nat()) })
/** Of these ages, the younger ones take part of a batch. */
const cutoffS = fc.constantFrom(30, 61, 3600, 7199).map((ageS) => NOW_S - ageS)

const plainPlan: fc.Arbitrary<Plan> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.array(fc.constantFrom(...EVENT_IDS), { minLength: 0, maxLength: 4 }),
        fc.boolean(),
        fc.array(fc.constantFrom(...AGES_S), { minLength: 4, maxLength: 4 }),
        fc.nat(2),
      )
      .map((values) => commit(...values)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.nat(), fc.option(positions), positions, positions, history)
      .map((values) => acknowledge(...values)),
  },
  { weight: 3, arbitrary: fc.tuple(fc.nat(), fc.nat(5), history).map((values) => release(...values)) },
  { weight: 3, arbitrary: fc.tuple(filter, start, cutoffS).map((values) => replay(...values)) },
  { weight: 1, arbitrary: fc.tuple(filter, start).map((values) => purge(...values)) },
  {
    weight: 2,
    arbitrary: cutoffS.map(expire),
  },
  { weight: 1, arbitrary: fc.nat(9).map(audit) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 3 })).map((values) => trim(...values)),
  },
)

const pause = fc.constantFrom<Pause>('none', 'turn', 'answer')
/** A reopening or a crash takes as long as a hundred other commands: every second run has one. */
const COMMAND: fc.Arbitrary<Command> = fc.oneof(
  { weight: 200, arbitrary: plainPlan.map(perform) },
  { weight: 45, arbitrary: fc.tuple(fc.boolean(), fc.nat(6)).map((values) => lease(...values)) },
  { weight: 10, arbitrary: fc.constant(trimDedupe()) },
  { weight: 1, arbitrary: fc.constant(reopen()) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.array(fc.tuple(plainPlan, pause), { minLength: 1, maxLength: 16 }), fc.nat())
      .map((values) => crash(...values)),
  },
)

// -- operations ------------------------------------------------------------------------------------------------------

function commit(
  ids: readonly string[],
  isTest: boolean,
  agesS: readonly number[],
  filteredCount: number,
): Plan {
  const eventTimesS = ids.map((_, index) => NOW_S - agesS[index]!)
  return plan(
    `commit ${ids.join(' ')}${isTest ? ' as test' : ''} of age ${agesS.join(' ')}, ${filteredCount} filtered`,
    () => ({
      ask: (store, adAccountId) =>
        store.commit(makePost(ids, { adAccountId, isTest, eventTimesS, filteredCount })),
      apply(model, answer) {
        const all = ids.map((_, index) => index)
        const fresh = all.filter((index) => isTest || !isSeen(model, ids, index))
        const duplicates = all.filter((index) => !fresh.includes(index))
        const receipt = answer?.value as Receipt | undefined
        if (receipt !== undefined) {
          assertSame(receipt.duplicates, duplicates, 'duplicates')
          assertSame(receipt.batch === undefined, fresh.length === 0, 'nothing stored')
        }
        model.totals.received += ids.length + filteredCount
        model.totals.filtered += filteredCount
        model.totals.duplicate += duplicates.length
        if (fresh.length === 0) return
        addBatch(model, {
          batchId: receipt?.batch?.batchId,
          isTest,
          isReplay: false,
          ids: fresh.map((index) => ids[index]!),
          eventTimesS: fresh.map((index) => eventTimesS[index]!),
          attempts: 0,
          history: [],
          isHeld: true,
        })
      },
    }),
  )
}

function acknowledge(
  which: number,
  delivered: readonly number[] | null,
  rejected: readonly number[],
  expired: readonly number[],
  history: readonly HistoryEntry[],
): Plan {
  const text = `acknowledge #${which} delivered ${delivered?.join() ?? 'rest'} rejected ${rejected.join()}`
  return plan(`${text} expired ${expired.join()}`, (model) => {
    const held = pickHeld(model, which)
    if (held === undefined) return undefined
    const isThere = (index: number) => index < held.ids.length
    const dead: DeadEvent[] = [
      ...rejected.filter(isThere).map((index) => makeDead(index, 'rejected', history)),
      ...expired.filter(isThere).map((index) => makeDead(index, 'expired', history)),
    ]
    const deliveredIndexes = delivered === null ? ('rest' as const) : delivered.filter(isThere)
    const acknowledgement = {
      batchId: held.batchId!,
      delivered: deliveredIndexes,
      dead,
      acknowledgedAtMs: NOW_MS,
    }
    return {
      ask: (store) => store.acknowledge([acknowledgement]),
      apply(model) {
        const batch = findBatch(model, held.batchId!)
        if (batch === undefined) return
        for (const one of dead) bury(model, batch, one)
        const rest = deliveredIndexes === 'rest' ? [...batch.pending] : deliveredIndexes
        for (const index of rest) {
          if (!batch.pending.delete(index)) continue
          model.totals.delivered++
          model.totals.queued--
        }
        removeAcknowledged(model, batch)
      },
    }
  })
}

function release(which: number, attempts: number, history: readonly HistoryEntry[]): Plan {
  return plan(`release #${which} after ${attempts}`, (model) => {
    const batchId = pickHeld(model, which)?.batchId
    if (batchId === undefined) return undefined
    return {
      ask: (store) => store.release([{ batchId, attempts, history }]),
      apply(model) {
        const batch = findBatch(model, batchId)
        if (batch === undefined) return
        batch.isHeld = false
        batch.attempts = attempts
        batch.history = history
      },
    }
  })
}

function replay(
  filter: Omit<DeadLetterFilter, 'ids'>,
  { limit, below }: { readonly limit: number; readonly below: number | null },
  oldestEventTimeS: number,
): Plan {
  const text = `replay ${limit} of ${JSON.stringify(filter)} below ${below} since ${NOW_S - oldestEventTimeS}`
  return plan(text, (model) => {
    const from = beforeOf(model, below)
    return {
      ask: (store, adAccountId) =>
        store.replay({ ...filter, adAccountId, limit, ...from, oldestEventTimeS, nowMs: NOW_MS }),
      apply(model, answer) {
        const counts = { replayed: 0, duplicates: 0, too_old: 0 }
        for (const deadLetter of matching(model, filter, from).slice(0, limit)) {
          counts[replayOne(model, deadLetter, oldestEventTimeS)] += 1
        }
        if (answer === undefined) return
        const { replayed, duplicates, tooOld } = answer.value as ReplayStep
        assertSame({ replayed, duplicates, too_old: tooOld }, counts, 'replay')
      },
    }
  })
}

function replayOne(
  model: Model,
  deadLetter: ModelDeadLetter,
  oldestEventTimeS: number,
): 'replayed' | 'duplicates' | 'too_old' {
  const { isTest, eventId, eventTimeS, status, attempts, history } = deadLetter
  if (!isTest && eventTimeS < oldestEventTimeS) return 'too_old'
  model.deadLetters = model.deadLetters.filter((other) => other !== deadLetter)
  model.totals[status]--
  if (!isTest && model.seen.has(eventId)) {
    model.totals.duplicate++
    return 'duplicates'
  }
  addBatch(model, {
    batchId: undefined,
    isTest,
    isReplay: true,
    ids: [eventId],
    eventTimesS: [eventTimeS],
    attempts,
    history: [...history, { atMs: NOW_MS, reason: 'replayed' }].slice(-HISTORY_LIMIT),
    isHeld: false,
  })
  return 'replayed'
}

function purge(
  filter: Omit<DeadLetterFilter, 'ids'>,
  { limit, below }: { readonly limit: number; readonly below: number | null },
): Plan {
  return plan(`purge ${limit} of ${JSON.stringify(filter)} below ${below}`, (model) => {
    const from = beforeOf(model, below)
    return {
      ask: (store, adAccountId) => store.purge({ ...filter, adAccountId, limit, ...from }),
      apply(model, answer) {
        const gone = new Set(matching(model, filter, from).slice(0, limit))
        model.deadLetters = model.deadLetters.filter((deadLetter) => !gone.has(deadLetter))
        if (answer !== undefined) assertSame((answer.value as PurgeStep).purged, gone.size, 'purged')
      },
    }
  })
}

/** Of all batches in one step: which of them a smaller one takes first is the engine's choice. */
function expire(oldestEventTimeS: number): Plan {
  return plan(`expire from before ${NOW_S - oldestEventTimeS}`, () => ({
    ask: (store) => store.expire({ oldestEventTimeS, limit: 1000, nowMs: NOW_MS }),
    apply(model, answer) {
      const expired = model.batches
        .filter((batch) => !batch.isTest && !batch.isHeld && batch.oldestEventTimeS < oldestEventTimeS)
        .toSorted((a, b) => a.oldestEventTimeS - b.oldestEventTimeS || a.serial - b.serial)
        .reduce((sum, batch) => sum + expireOne(model, batch, oldestEventTimeS), 0)
      if (answer !== undefined) assertSame((answer.value as ExpireStep).expired, expired, 'expired')
    },
  }))
}

function expireOne(model: Model, batch: ModelBatch, oldestEventTimeS: number): number {
  const { eventTimesS, attempts } = batch
  const old = [...batch.pending].filter((index) => eventTimesS[index]! < oldestEventTimeS)
  const history = [...batch.history, { atMs: NOW_MS, reason: 'too_old' }].slice(-HISTORY_LIMIT)
  for (const index of old) {
    bury(model, batch, { index, status: 'expired', reason: 'too_old', message: '', attempts, history })
  }
  batch.oldestEventTimeS = Math.min(...[...batch.pending].map((index) => eventTimesS[index]!))
  removeAcknowledged(model, batch)
  return old.length
}

/** All of them died at the same time: they go in the order in which they were written. */
function trim(isTooOld: boolean, limit: number): Plan {
  return plan(`trim ${limit} of ${isTooOld ? 'all' : 'none'}`, () => ({
    ask: (store) => store.trim({ table: 'dead_letters', beforeMs: NOW_MS + Number(isTooOld), limit }),
    apply(model, answer) {
      const tooOld = isTooOld ? Math.min(limit, model.deadLetters.length) : 0
      model.deadLetters = model.deadLetters.slice(0, model.deadLetters.length - tooOld)
      if (answer !== undefined) assertSame(answer.value, { tooOld, overPart: 0 }, 'trimmed')
    },
  }))
}

function audit(n: number): Plan {
  return plan(`audit ${n}`, () => ({
    ask: (store) => store.addAudit({ atMs: NOW_MS, action: 'something', details: { n } }),
    apply: (model) => void model.audit.push({ action: 'something', counts: { n } }),
  }))
}

function plan(text: string, make: Plan['make']): Plan {
  return { text, make }
}

// -- commands --------------------------------------------------------------------------------------------------------

function perform({ text, make }: Plan): Command {
  return command(text, async (model, { opened, adAccountId }) => {
    const operation = make(model)
    if (operation === undefined) return
    operation.apply(model, { value: await operation.ask(opened.store, adAccountId) })
  })
}

function lease(isTest: boolean, maxEvents: number): Command {
  return command(`lease ${maxEvents}${isTest ? ' as test' : ''}`, async (model, { opened, adAccountId }) => {
    const leased = await opened.store.lease(askAll({ adAccountId, isTest, maxEvents }))
    let events = 0
    const wanted = waitingOf(model, isTest).filter((batch, index) => {
      events += batch.pending.size
      return index === 0 || events <= maxEvents
    })
    matchBatches(leased, wanted)
    for (const batch of wanted) batch.isHeld = true
  })
}

function trimDedupe(): Command {
  return command('trimDedupe', async (model, { opened }) => {
    await opened.store.trimDedupe(NOW_MS + 1)
    const queued = new Set(model.batches.map(({ serial }) => serial))
    for (const [id, serial] of model.seen) if (!queued.has(serial)) model.seen.delete(id)
  })
}

function reopen(): Command {
  return command('reopen', async (model, real) => {
    await real.opened.close()
    real.opened = await real.ground.open({ willCrash: true })
    for (const batch of model.batches) batch.isHeld = false
  })
}

type Pause = 'none' | 'turn' | 'answer'

/** What shares a transaction is done in this order of kinds; all others follow. */
const ORDER_IN_GROUP = ['acknowledge', 'release', 'commit']

/** Between two waits, in the order in which one transaction does them: so they are the same in one and in several. */
function asInGroups(steps: readonly (readonly [Plan, Pause])[]): typeof steps {
  const rank = ([{ text }]: readonly [Plan, Pause]) => {
    const index = ORDER_IN_GROUP.indexOf(text.split(' ', 1)[0]!)
    return index === -1 ? ORDER_IN_GROUP.length : index
  }
  const ends = steps.flatMap(([, pause], index) => (pause === 'answer' ? [index + 1] : []))
  return [...ends, steps.length].flatMap((end, index) => {
    const group = steps.slice(ends[index - 1] ?? 0, end)
    const plans = group.toSorted((a, b) => rank(a) - rank(b))
    return plans.map(([step], place) => [step, group[place]![1]] as const)
  })
}

/** Asks for one after the other without waiting, dies beside one of them, and finds out how far it came. */
function crash(asked: readonly (readonly [Plan, Pause])[], where: number): Command {
  const steps = asInGroups(asked)
  const text = steps.map(([{ text }, pause]) => `${text} (${pause})`).join('; ')
  return command(`crash at ${where % steps.length} in [${text}]`, async (model, real) => {
    const { opened, ground, adAccountId } = real
    const operations: Operation[] = []
    const answers: ({ readonly value: unknown } | undefined)[] = []
    const answered: Promise<unknown>[] = []
    let crashing: Promise<void> | undefined
    let acknowledged = 0
    for (const [index, [{ make }, pause]] of steps.entries()) {
      if (index === where % steps.length) {
        acknowledged = answers.length
        crashing = ground.crash()
      }
      const operation = make(model)
      if (operation === undefined) continue
      const place = operations.push(operation) - 1
      const answer = operation.ask(opened.store, adAccountId).then(
        (value) => void (answers[place] = { value }),
        (error: unknown) => assertGone(error),
      )
      answered.push(answer)
      if (pause === 'turn') await turn()
      if (pause === 'answer') await answer
    }
    await crashing
    await Promise.all(answered)
    real.opened = await ground.open({ willCrash: true })
    adopt(model, await findOut(model, real, operations, answers, acknowledged))
  })
}

/** A store that died may refuse; it must not fail in any other way. */
function assertGone(error: unknown): void {
  const code = error instanceof Error && 'code' in error ? error.code : error
  if (code !== 'SHUTTING_DOWN' && code !== 'STORE_UNAVAILABLE') throw error
}

/** The model after as many of the operations as the store kept. */
async function findOut(
  before: Model,
  real: Real,
  operations: readonly Operation[],
  answers: readonly ({ readonly value: unknown } | undefined)[],
  acknowledged: number,
): Promise<Model> {
  const found = await observe(real, before.audit.length + operations.length)
  const leased = await leaseAll(real.opened.store, real.adAccountId)
  await real.opened.store.release(leased)
  const misses: string[] = []
  for (let kept = acknowledged; kept <= operations.length; kept++) {
    const model = structuredClone(before)
    for (const [index, operation] of operations.slice(0, kept).entries()) {
      operation.apply(model, answers[index])
    }
    for (const batch of model.batches) batch.isHeld = false
    try {
      matchBatches(leased, [...waitingOf(model, false), ...waitingOf(model, true)])
      matchAll(found, model)
      return model
    } catch (error) {
      misses.push(`after ${kept}: ${String(error)}`)
    }
  }
  throw new Error(`${acknowledged} of ${operations.length} were acknowledged; ${misses.join('\n')}`)
}

function adopt(model: Model, other: Model): void {
  Object.assign(model, other)
}

/** Something to do, followed by a look at everything that can be seen from outside. */
function command(text: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return {
    check: () => true,
    async run(model, real) {
      await run(model, real)
      matchAll(await observe(real, model.audit.length), model)
    },
    toString: () => text,
  }
}

// -- what can be seen from outside -----------------------------------------------------------------------------------

interface Observation {
  readonly totals: Totals
  /** Of the event trail. */
  readonly outcomes: ReadonlyMap<string, number>
  readonly queued: number
  readonly deadLetters: readonly DeadLetter[]
  readonly audit: readonly { readonly action: string; readonly details: Readonly<Record<string, unknown>> }[]
}

async function observe({ opened, adAccountId }: Real, auditLimit: number): Promise<Observation> {
  const { store } = opened
  const [totals, trail, backlog, deadLetters, audit] = await Promise.all([
    store.totals({ adAccountId }),
    readTrail(store, { adAccountId }),
    store.backlog(),
    store.deadLetters({ adAccountId, limit: 1000 }),
    store.auditTrail({ limit: auditLimit }),
  ])
  const own = backlog.filter((queue) => queue.adAccountId === adAccountId)
  const outcomes = countBy(trail.map(({ outcome }) => outcome))
  return { totals, outcomes, queued: own.reduce((sum, { events }) => sum + events, 0), deadLetters, audit }
}

function countBy(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

/** Also learns the ids of dead letters that the model does not know yet. */
function matchAll({ totals, outcomes, queued, deadLetters, audit }: Observation, model: Model): void {
  assertSame(totals, model.totals, 'totals')
  // A replay moves a dead letter's count, and begins another event in the trail.
  for (const outcome of ['queued', 'delivered'] as const) {
    assertSame(outcomes.get(outcome) ?? 0, totals[outcome], `trail: ${outcome}`)
  }
  assertSame(queued, model.totals.queued, 'backlog')
  const { received, delivered, rejected, expired, filtered, duplicate } = totals
  assertSame(delivered + rejected + expired + filtered + queued + duplicate, received, 'balance')
  assertSame(deadLetters.map(deadLetterText), model.deadLetters.map(deadLetterText), 'dead letters')
  for (const [index, deadLetter] of model.deadLetters.entries()) {
    deadLetter.id ??= deadLetters[index]!.id
    assertSame(deadLetters[index]!.id, deadLetter.id, 'id of a dead letter')
  }
  const wanted = model.audit.map(({ action, counts }) => ({ action, ...counts })).toReversed()
  const told = audit.slice(0, wanted.length).map(({ action, details }) => ({ action, ...details }))
  assertSame(told, wanted, 'audit')
}

function deadLetterText({
  isTest,
  eventId,
  status,
  reason,
  attempts,
  history,
}: ModelDeadLetter | DeadLetter): string {
  return JSON.stringify([isTest, eventId, status, reason, attempts, history])
}

/** Also learns the ids of batches that the model does not know yet. */
function matchBatches(leased: readonly LeasedBatch[], wanted: readonly ModelBatch[]): void {
  assertSame(
    leased.map(({ isTest, isReplay, attempts, history, acknowledged, payload }) => [
      isTest,
      isReplay,
      attempts,
      history,
      acknowledged,
      eventIds(payload),
    ]),
    wanted.map((batch) => [
      batch.isTest,
      batch.isReplay,
      batch.attempts,
      batch.history,
      acknowledgedOf(batch),
      batch.ids,
    ]),
    'leased',
  )
  for (const [index, batch] of wanted.entries()) {
    batch.batchId ??= leased[index]!.batchId
    assertSame(leased[index]!.batchId, batch.batchId, 'id of a batch')
    assertSame(leased[index]!.oldestEventTimeS, batch.oldestEventTimeS, 'oldest event')
  }
}

async function leaseAll(store: Store, adAccountId: string): Promise<readonly LeasedBatch[]> {
  const live = await store.lease(askAll({ adAccountId, isTest: false }))
  return [...live, ...(await store.lease(askAll({ adAccountId, isTest: true })))]
}

// -- the model's own parts -------------------------------------------------------------------------------------------

type NewModelBatch = Omit<ModelBatch, 'serial' | 'oldestEventTimeS' | 'pending'>

function addBatch(model: Model, batch: NewModelBatch): void {
  const serial = model.nextSerial++
  const { ids, eventTimesS, isTest } = batch
  model.batches.push({
    ...batch,
    serial,
    oldestEventTimeS: Math.min(...eventTimesS),
    pending: new Set(ids.keys()),
  })
  model.totals.queued += ids.length
  if (!isTest) for (const id of ids) model.seen.set(id, serial)
}

function bury(
  model: Model,
  batch: ModelBatch,
  { index, status, reason, attempts, history }: DeadEvent,
): void {
  if (!batch.pending.delete(index)) return
  const { isTest, serial, ids, eventTimesS } = batch
  const eventId = ids[index]!
  model.totals[status]++
  model.totals.queued--
  const identity = { id: undefined, isTest, eventId, eventTimeS: eventTimesS[index]! }
  model.deadLetters.unshift({ ...identity, status, reason, attempts, history })
  if (!isTest && model.seen.get(eventId) === serial) model.seen.delete(eventId)
}

function removeAcknowledged(model: Model, batch: ModelBatch): void {
  if (batch.pending.size === 0) model.batches = model.batches.filter((other) => other !== batch)
}

/** On time, late, replays; each by its oldest event. */
function waitingOf(model: Model, isTest: boolean): ModelBatch[] {
  const rank = ({ isReplay, oldestEventTimeS }: ModelBatch) =>
    isReplay ? 2 : Number(oldestEventTimeS <= NOW_S - 3600)
  return model.batches
    .filter((batch) => batch.isTest === isTest && !batch.isHeld)
    .toSorted((a, b) => rank(a) - rank(b) || a.oldestEventTimeS - b.oldestEventTimeS || a.serial - b.serial)
}

function beforeOf({ deadLetters }: Model, below: number | null): { readonly beforeId?: number } {
  const id = below === null ? undefined : pick(deadLetters, below)?.id
  return id === undefined ? {} : { beforeId: id }
}

function matching(
  { deadLetters }: Model,
  { isTest, status, reason }: DeadLetterFilter,
  { beforeId }: { readonly beforeId?: number },
): ModelDeadLetter[] {
  return deadLetters.filter(
    (deadLetter) =>
      deadLetter.isTest === (isTest ?? deadLetter.isTest) &&
      deadLetter.status === (status ?? deadLetter.status) &&
      deadLetter.reason === (reason ?? deadLetter.reason) &&
      // What has no known id yet is newer than all that have one.
      (beforeId === undefined || (deadLetter.id !== undefined && deadLetter.id < beforeId)),
  )
}

function findBatch({ batches }: Model, batchId: number): ModelBatch | undefined {
  return batches.find((batch) => batch.batchId === batchId)
}

function pickHeld({ batches }: Model, which: number): ModelBatch | undefined {
  return pick(
    batches.filter(({ isHeld }) => isHeld),
    which,
  )
}

function isSeen(model: Model, ids: readonly string[], index: number): boolean {
  return model.seen.has(ids[index]!) || ids.indexOf(ids[index]!) < index
}

function acknowledgedOf({ ids, pending }: ModelBatch): number[] {
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
