import t from 'tap'
import { safeKey } from '../../../src/events/report.ts'

t.test('a key that looks like a field’s name is shown', async (t) => {
  for (const key of ['email', '_x', 'Ab_9', 'constructor', '__proto__', 'a'.repeat(40)]) {
    t.equal(safeKey(key), key)
  }
})

t.test('any other key is not', async (t) => {
  for (const key of ['', '9a', 'a b', 'person@example.com', '+14155552671', 'é', 'a\n', 'a'.repeat(41)]) {
    t.equal(safeKey(key), '(unnamed)')
  }
})
