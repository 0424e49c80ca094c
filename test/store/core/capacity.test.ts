import t from 'tap'
import { createCapacity } from '../../../src/store/core/capacity.ts'

/** A store of 1,000 bytes. */
function open(usedBytes = 0) {
  const used = { bytes: usedBytes }
  const capacity = createCapacity((part) => part * 1000 - used.bytes)
  capacity.refresh()
  return { used, capacity }
}

t.test('commits are refused above the watermark, until it has fallen well below', async (t) => {
  const { used, capacity } = open(801)
  t.ok(capacity.isFull)
  t.notOk(capacity.admits(1, 0))
  t.equal(capacity.share(), Infinity, 'no account alone is to blame')
  used.bytes = 790
  capacity.refresh()
  t.ok(capacity.isFull)
  used.bytes = 750
  capacity.refresh()
  t.notOk(capacity.isFull)
  t.ok(capacity.admits(1, 0))
})

t.test('what was admitted is gone from the room until the next look', async (t) => {
  const { used, capacity } = open(700)
  t.ok(capacity.admits(55, 0))
  t.notOk(capacity.admits(41, 0), 'of 45, an eighth of what is left then')
  t.ok(capacity.admits(40, 0))
  used.bytes = 755
  capacity.refresh()
  t.notOk(capacity.admits(41, 0))
  t.ok(capacity.admits(40, 0))
})

t.test(
  'an account that has its share is refused, another one is not, and a refusal takes no room',
  async (t) => {
    const { capacity } = open(700)
    t.equal(capacity.share(), 700)
    t.notOk(capacity.admits(10, 711))
    t.ok(capacity.admits(10, 710))
    t.ok(capacity.admits(10, 0))
  },
)
