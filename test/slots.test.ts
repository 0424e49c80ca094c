import t from 'tap'
import { createSlots } from '../src/slots.ts'

t.test('what is under way has a slot until it is taken, once', async (t) => {
  const slots = createSlots<{ readonly name: string }>()
  const first = slots.add({ name: 'first' })
  const second = slots.add({ name: 'second' })
  t.equal(slots.size, 2)
  t.strictSame(
    Array.from(slots, ({ name }) => name),
    ['first', 'second'],
  )
  t.strictSame(slots.take(first), { name: 'first' })
  t.equal(slots.take(first), undefined)
  t.equal(slots.take(-1), undefined)
  t.equal(slots.size, 1)
  t.equal(slots.add({ name: 'third' }), first, 'a free slot is used again')
  t.strictSame(
    Array.from(slots, ({ name }) => name),
    ['third', 'second'],
  )
  t.strictSame(slots.take(second), { name: 'second' })
})

t.test('what is taken while all are visited is not visited', async (t) => {
  const slots = createSlots<{ slot: number }>()
  for (let n = 0; n < 3; n++) {
    const one = { slot: 0 }
    one.slot = slots.add(one)
  }
  const visited = []
  for (const { slot } of slots) {
    visited.push(slot)
    slots.take(1)
  }
  t.strictSame(visited, [0, 2])
})
