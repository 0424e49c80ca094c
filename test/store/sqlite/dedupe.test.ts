import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { QUEUE_SCHEMA } from '../../../src/store/sqlite/schema.ts'
import { createDedupeIndex } from '../../../src/store/sqlite/dedupe-index.ts'
import { createDedupe } from '../../../src/store/sqlite/dedupe.ts'
import type { Steps } from '../../../src/store/core/sql.ts'
import type { Dedupe } from '../../../src/store/core/transaction.ts'
import fc from '../../support/fast-check.ts'

/** `hint`: the 8 bytes that the index keeps. */
function keyOf(hint: number, rest = 0): Uint8Array {
  const key = Buffer.alloc(16)
  key.writeUInt32BE(hint, 0)
  key.writeUInt32BE((hint * 7) >>> 0, 4)
  key.writeUInt32BE(rest, 12)
  return key
}

t.test('an index finds what was added and not removed, and says when it is full', async (t) => {
  const index = createDedupeIndex(64)
  const keys = Array.from({ length: 51 }, (_, n) => keyOf(n * 64))
  for (const [n, key] of keys.entries()) {
    t.notOk(index.isFull(1))
    index.add(key, n + 1)
  }
  t.ok(index.isFull(1))
  t.same(
    keys.map((key) => index.find(key)),
    keys.map((_, n) => n + 1),
  )
  t.equal(index.find(keyOf(63)), undefined)
  index.remove(keys[7]!, 1)
  t.equal(index.find(keys[7]!), 8, 'of another row')
  for (let round = 0; round < 100; round++) {
    index.remove(keys[7]!, 8)
    t.equal(index.find(keys[7]!), undefined)
    index.add(keys[7]!, 8)
  }
  t.equal(index.find(keys[50]!), 51, 'what was removed does not hide what is behind it')
  t.ok(createDedupeIndex().isFull(0x1_0000_0000), 'a row that has no number left')
})

t.test('an index grows, and keeps everything', async (t) => {
  const index = createDedupeIndex()
  for (let n = 0; n < 100_000; n++) index.add(keyOf((n * 40_503) >>> 0), n + 1)
  let lost = 0
  for (let n = 0; n < 100_000; n++) if (index.find(keyOf((n * 40_503) >>> 0)) !== n + 1) lost += 1
  t.equal(lost, 0)
})

t.test('a full index takes a key for each that was removed, without a new table', async (t) => {
  const index = createDedupeIndex(256)
  const known: number[] = []
  for (let n = 0; !index.isFull(1); n++) {
    index.add(keyOf(spread(n)), n + 1)
    known.push(n)
  }
  const Table = Uint32Array
  const world = globalThis as unknown as { Uint32Array: (length: number) => Uint32Array }
  const tables = t.capture(world, 'Uint32Array', (length) => new Table(length))
  for (let n = known.length; n < 5000; n++) {
    const [gone] = known.splice((n * 7919) % known.length, 1)
    t.ok(index.remove(keyOf(spread(gone!)), gone! + 1))
    index.add(keyOf(spread(n)), n + 1)
    known.push(n)
  }
  t.ok(index.isFull(1))
  t.same(
    known.map((n) => index.find(keyOf(spread(n)))),
    known.map((n) => n + 1),
  )
  t.equal(tables().length, 0)
})

/** In clusters that go over the end of the table, too. */
function spread(n: number): number {
  return Math.imul(n, 40_503) >>> 0
}

// Few keys, some of which share the bytes that the index keeps; and an index for only a few of them.
const aKey = fc.record({ hint: fc.integer({ min: 0, max: 7 }), rest: fc.integer({ min: 0, max: 1 }) })
const aBatch = fc.integer({ min: 1, max: 4 })
const anOperation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('add' as const), key: aKey, batchId: aBatch }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('forget' as const), key: aKey, batchId: aBatch }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deliver' as const), batchId: aBatch }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('forgetOld' as const), ageMs: fc.integer({ min: 0, max: 20 }) }),
  },
)
const aTransaction = fc.record({
  operations: fc.array(anOperation, { maxLength: 12 }),
  isRolledBack: fc.boolean(),
  isLast: fc.boolean(),
})

type Operation =
  | { readonly kind: 'add' | 'forget'; readonly key: Key; readonly batchId: number }
  | { readonly kind: 'deliver'; readonly batchId: number }
  | { readonly kind: 'forgetOld'; readonly ageMs: number }

interface Key {
  readonly hint: number
  readonly rest: number
}

interface Model {
  readonly owners: Map<string, { readonly batchId: number; readonly seenAtMs: number }>
  readonly queued: Set<number>
}

t.test('whatever is added, forgotten, rolled back and started again: it knows what it should', async () => {
  fc.assert(
    fc.property(
      fc.array(aTransaction, { maxLength: 12 }),
      fc.constantFrom(4, 8, 64),
      (transactions, slots) => {
        const db = new DatabaseSync(':memory:')
        db.exec(QUEUE_SCHEMA.tables)
        const undo: (() => void)[] = []
        const start = () => createDedupe(db, undo, createDedupeIndex(slots))
        let dedupe = start()
        let model: Model = { owners: new Map(), queued: new Set() }
        let nowMs = 0

        function run(operation: Operation): void {
          const { owners, queued } = model
          switch (operation.kind) {
            case 'add': {
              const [name, batchId] = [nameOf(operation.key), operation.batchId]
              const isNew = add(dedupe, toKey(operation.key), batchId, nowMs)
              if (isNew === owners.has(name)) throw new Error(`${name} is ${isNew ? 'new' : 'known'}`)
              if (!isNew) break
              owners.set(name, { batchId, seenAtMs: nowMs })
              queued.add(batchId)
              db.prepare(
                `INSERT OR IGNORE INTO batches VALUES (?, '1', 0, 0, 0, 1, 1, 1, 0, 0, NULL, NULL, NULL, NULL, NULL, x'00')`,
              ).run(batchId)
              break
            }
            case 'forget': {
              const name = nameOf(operation.key)
              done(dedupe.forget([{ key: toKey(operation.key), batchId: operation.batchId }]))
              if (owners.get(name)?.batchId === operation.batchId) owners.delete(name)
              break
            }
            case 'deliver':
              queued.delete(operation.batchId)
              db.prepare('DELETE FROM batches WHERE batch_id = ?').run(operation.batchId)
              break
            case 'forgetOld':
              forgetOld(dedupe, nowMs - operation.ageMs)
              // What is queued is kept.
              for (const [name, { batchId, seenAtMs }] of owners) {
                if (seenAtMs < nowMs - operation.ageMs && !queued.has(batchId)) owners.delete(name)
              }
              break
          }
        }

        for (const { operations, isRolledBack, isLast } of transactions) {
          nowMs += 10
          const before = copy(model)
          db.exec('BEGIN')
          for (const operation of operations) run(operation)
          if (isRolledBack) {
            for (const step of undo.toReversed()) step()
            db.exec('ROLLBACK')
            model = before
          } else {
            db.exec('COMMIT')
          }
          undo.length = 0
          if (isLast) dedupe = start()
          for (const [name, { batchId }] of model.owners) {
            const [pendingIn] = done(dedupe.pendingOf([toKey(JSON.parse(name) as Key)]))
            if ((pendingIn !== undefined) !== model.queued.has(batchId))
              throw new Error(`${name}: pending is wrong`)
          }
        }
        db.close()
      },
    ),
    { numRuns: 150, endOnFailure: false },
  )
})

t.test(
  'a start with an index that is smaller than before knows all the same, and so does the next one',
  async (t) => {
    const db = new DatabaseSync(':memory:')
    db.exec(QUEUE_SCHEMA.tables)
    const keys = Array.from({ length: 30 }, (_, n) => keyOf(n))
    done(createDedupe(db, []).claim([{ batchId: 7, seenAtMs: 1000, keys }]))
    for (const start of ['first', 'second']) {
      const dedupe = createDedupe(db, [], createDedupeIndex(8))
      t.same(
        keys.filter((key) => add(dedupe, key, 8, 2000)),
        [],
        start,
      )
    }
  },
)

t.test(
  'what came while the index was full is not read at a start, and known all the same until it is old',
  async (t) => {
    const db = new DatabaseSync(':memory:')
    db.exec(QUEUE_SCHEMA.tables)
    const start = (slots?: number) => createDedupe(db, [], createDedupeIndex(slots))
    const keys = Array.from({ length: 30 }, (_, n) => keyOf(n))
    const small = start(8)
    for (const key of keys) t.ok(add(small, key, 7, 1000))
    t.equal(
      Number(db.prepare('SELECT COUNT(*) AS n FROM dedupe_rows WHERE row_id < 4294967296').get()!['n']),
      6,
    )
    const dedupe = start()
    for (const key of keys) t.notOk(add(dedupe, key, 8, 2000))
    forgetOld(dedupe, 1001)
    t.equal(db.prepare('SELECT COUNT(*) AS n FROM dedupe_overflow').get()!['n'], 0)
    for (const key of keys) t.ok(add(dedupe, key, 8, 2000))
  },
)

t.test('what came while the index was full is forgotten though a newer row is in the index', async (t) => {
  const db = new DatabaseSync(':memory:')
  db.exec(QUEUE_SCHEMA.tables)
  const dedupe = createDedupe(db, [], createDedupeIndex(4))
  for (let n = 0; n < 4; n++) t.ok(add(dedupe, keyOf(n), 7, 1000))
  done(dedupe.forget([{ key: keyOf(2), batchId: 7 }]))
  t.ok(add(dedupe, keyOf(4), 8, 2000))
  forgetOld(dedupe, 1001)
  t.ok(add(dedupe, keyOf(3), 9, 2000))
  t.notOk(add(dedupe, keyOf(4), 9, 2000))
})

t.test(
  'what is forgotten of a row stays so, unless that is rolled back, whatever was read between',
  async (t) => {
    const db = new DatabaseSync(':memory:')
    db.exec(QUEUE_SCHEMA.tables)
    const undo: (() => void)[] = []
    const dedupe = createDedupe(db, undo)
    const [first, second, third] = [keyOf(1), keyOf(2), keyOf(3)]
    const forget = (key: Uint8Array) => done(dedupe.forget([{ key, batchId: 7 }]))
    done(dedupe.claim([{ batchId: 7, seenAtMs: 1000, keys: [first, second, third] }]))
    undo.length = 0
    db.exec('BEGIN')
    forget(first)
    done(dedupe.pendingOf([second]))
    for (const step of undo.toReversed()) step()
    db.exec('ROLLBACK')
    t.notOk(add(dedupe, first, 8, 2000), 'rolled back')
    forget(first)
    forget(second)
    t.notOk(add(dedupe, third, 8, 2000))
    const startedAgain = createDedupe(db, [])
    t.ok(add(startedAgain, first, 8, 2000))
    t.ok(add(startedAgain, second, 8, 2000))
    t.notOk(add(startedAgain, third, 8, 2000))
  },
)

t.test('a row without keys, which no start has read, is damage for the walk that forgets', async (t) => {
  const db = new DatabaseSync(':memory:')
  db.exec(QUEUE_SCHEMA.tables.replaceAll('keys BLOB NOT NULL', 'keys BLOB'))
  db.exec('INSERT INTO dedupe_rows VALUES (4294967296, 7, 1000, NULL)')
  const dedupe = createDedupe(db, [])
  t.throws(() => forgetOld(dedupe, 1001), { message: 'keys of seen events are no keys' })
})

function add(dedupe: Dedupe, key: Uint8Array, batchId: number, seenAtMs: number): boolean {
  return done(dedupe.claim([{ batchId, seenAtMs, keys: [key] }]))[0]!.length === 0
}

function forgetOld(dedupe: Dedupe, seenBeforeMs: number): void {
  let after: number | undefined = 0
  while (after !== undefined) after = done(dedupe.trim({ seenBeforeMs, after }))
}

/** It yields no statements: it has its own. */
function done<Result>(steps: Steps<Result>): Result {
  const step = steps.next()
  if (step.done !== true) throw new Error('a statement')
  return step.value
}

function nameOf(key: Key): string {
  return JSON.stringify(key)
}

function toKey({ hint, rest }: Key): Uint8Array {
  return keyOf(hint, rest)
}

function copy({ owners, queued }: Model): Model {
  return { owners: new Map(owners), queued: new Set(queued) }
}
