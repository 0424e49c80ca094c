import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { QUEUE_SCHEMA } from '../../../src/store/sqlite/schema.ts'
import { findParcel, listEntries, packEntries, blankKey } from '../../../src/store/sqlite/seen-block.ts'
import { createSeenIndex } from '../../../src/store/sqlite/seen-index.ts'
import { createSeen, type Seen } from '../../../src/store/sqlite/seen.ts'
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
  const index = createSeenIndex(64)
  const keys = Array.from({ length: 51 }, (_, n) => keyOf(n * 64))
  for (const [n, key] of keys.entries()) {
    t.notOk(index.isFull(1))
    index.add(key, n + 1)
  }
  t.ok(index.isFull(1))
  t.equal(index.size, 51)
  t.same(
    keys.map((key) => index.find(key)),
    keys.map((_, n) => n + 1),
  )
  t.equal(index.find(keyOf(63)), undefined)
  index.remove(keys[7]!, 1)
  t.equal(index.find(keys[7]!), 8, 'of another block')
  for (let round = 0; round < 100; round++) {
    index.remove(keys[7]!, 8)
    t.equal(index.find(keys[7]!), undefined)
    index.add(keys[7]!, 8)
  }
  t.equal(index.find(keys[50]!), 51, 'what was removed does not hide what is behind it')
  t.equal(index.size, 51)
  t.ok(createSeenIndex().isFull(0xffff_ffff), 'a block that has no number left')
})

t.test('an index grows, and keeps everything', async (t) => {
  const index = createSeenIndex()
  for (let n = 0; n < 100_000; n++) index.add(keyOf((n * 40_503) >>> 0), n + 1)
  let lost = 0
  for (let n = 0; n < 100_000; n++) if (index.find(keyOf((n * 40_503) >>> 0)) !== n + 1) lost += 1
  t.equal(lost, 0)
})

t.test('a block gives back what it was made of, but for what was blanked', async (t) => {
  const entries = [1, 2, 3].map((n) => ({ key: keyOf(n), parcelId: 1_768_478_400_000_000 + n }))
  const bytes = packEntries(entries)
  blankKey(bytes, keyOf(2))
  blankKey(bytes, keyOf(9))
  t.same(
    [...listEntries(bytes)].map(({ parcelId }) => parcelId),
    [entries[0]!.parcelId, entries[2]!.parcelId],
  )
  t.equal(findParcel(bytes, keyOf(3)), entries[2]!.parcelId)
  t.equal(findParcel(bytes, keyOf(2)), undefined)
  t.equal(findParcel(bytes, keyOf(9)), undefined)
})

// Few keys, some of which share the bytes that the index keeps; and an index for only a few of them.
const aKey = fc.record({ hint: fc.integer({ min: 0, max: 7 }), rest: fc.integer({ min: 0, max: 1 }) })
const aParcel = fc.integer({ min: 1, max: 4 })
const anOperation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('add' as const), key: aKey, parcelId: aParcel }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('forget' as const), key: aKey, parcelId: aParcel }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deliver' as const), parcelId: aParcel }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('forgetOld' as const), ageMs: fc.integer({ min: 0, max: 20 }) }),
  },
)
const aTransaction = fc.record({
  operations: fc.array(anOperation, { maxLength: 12 }),
  /** Each in a savepoint of its own, of which some are rolled back. */
  isApart: fc.boolean(),
  refused: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
  isRolledBack: fc.boolean(),
  isLast: fc.boolean(),
})

type Operation =
  | { readonly kind: 'add' | 'forget'; readonly key: Key; readonly parcelId: number }
  | { readonly kind: 'deliver'; readonly parcelId: number }
  | { readonly kind: 'forgetOld'; readonly ageMs: number }

interface Key {
  readonly hint: number
  readonly rest: number
}

interface Model {
  readonly owners: Map<string, { readonly parcelId: number; readonly seenAtMs: number }>
  readonly queued: Set<number>
}

t.test('whatever is added, forgotten, rolled back and started again: it knows what it should', async () => {
  fc.assert(
    fc.property(
      fc.array(aTransaction, { maxLength: 12 }),
      fc.constantFrom(4, 8, 64),
      (transactions, slots) => {
        const db = new DatabaseSync(':memory:')
        db.exec(QUEUE_SCHEMA.steps.join(';'))
        const start = () => createSeen(db, createSeenIndex(slots))
        let seen = start()
        let model: Model = { owners: new Map(), queued: new Set() }
        let nowMs = 0

        function run(operation: Operation): void {
          const { owners, queued } = model
          switch (operation.kind) {
            case 'add': {
              const [name, parcelId] = [nameOf(operation.key), operation.parcelId]
              const isNew = seen.add(toKey(operation.key), parcelId, nowMs)
              if (isNew === owners.has(name)) throw new Error(`${name} is ${isNew ? 'new' : 'known'}`)
              if (!isNew) break
              owners.set(name, { parcelId, seenAtMs: nowMs })
              queued.add(parcelId)
              db.prepare("INSERT OR IGNORE INTO payloads VALUES (?, 1, 0, 0, x'00')").run(parcelId)
              break
            }
            case 'forget': {
              const name = nameOf(operation.key)
              seen.forget(toKey(operation.key), operation.parcelId)
              if (owners.get(name)?.parcelId === operation.parcelId) owners.delete(name)
              break
            }
            case 'deliver':
              queued.delete(operation.parcelId)
              db.prepare('DELETE FROM payloads WHERE parcel_id = ?').run(operation.parcelId)
              break
            case 'forgetOld':
              forgetOld(seen, nowMs - operation.ageMs)
              // What is newer than the block's newest is kept longer; what is queued is kept.
              for (const [name, { parcelId, seenAtMs }] of owners) {
                if (seenAtMs < nowMs - operation.ageMs && !queued.has(parcelId)) owners.delete(name)
              }
              break
          }
        }

        for (const { operations, isApart, refused, isRolledBack, isLast } of transactions) {
          nowMs += 10
          const before = copy(model)
          db.exec('BEGIN')
          for (const [place, operation] of operations.entries()) {
            const mark = seen.mark()
            const beforeOne = copy(model)
            if (isApart) db.exec('SAVEPOINT one')
            run(operation)
            if (!isApart) continue
            if (refused[place] === true) {
              db.exec('ROLLBACK TO one; RELEASE one')
              seen.undoTo(mark)
              model = beforeOne
            } else {
              seen.flush()
              db.exec('RELEASE one')
            }
          }
          if (isRolledBack) {
            seen.undoTo(0)
            db.exec('ROLLBACK')
            model = before
          } else {
            seen.flush()
            db.exec('COMMIT')
            seen.keep()
          }
          if (isLast) seen = start()
          for (const [name, { parcelId }] of model.owners) {
            if (seen.isPending(toKey(JSON.parse(name) as Key)) !== model.queued.has(parcelId))
              throw new Error(`${name}: pending is wrong`)
          }
        }
        db.close()
      },
    ),
    { numRuns: 150, endOnFailure: false },
  )
})

t.test('what the relay before the blocks has seen is known, until it is old', async (t) => {
  const db = new DatabaseSync(':memory:')
  db.exec(QUEUE_SCHEMA.steps[0]!)
  db.prepare('INSERT INTO seen VALUES (?, 7, 1000)').run(keyOf(1))
  db.exec(QUEUE_SCHEMA.steps[1]!)
  const seen = createSeen(db)
  t.notOk(seen.add(keyOf(1), 8, 2000))
  t.ok(seen.add(keyOf(2), 8, 2000))
  forgetOld(seen, 1001)
  seen.keep()
  t.ok(seen.add(keyOf(1), 9, 3000))
  t.notOk(seen.add(keyOf(2), 9, 3000))
})

function forgetOld(seen: Seen, seenBeforeMs: number): void {
  let after: Parameters<Seen['forgetStep']>[1] | undefined = { table: 'blocks', afterId: 0 }
  while (after !== undefined) after = seen.forgetStep(seenBeforeMs, after)
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
