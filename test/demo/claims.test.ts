import t from 'tap'
import { createClaims, judgeClaims } from '../../demo/claims.ts'
import { conclude } from '../../demo/play.ts'
import { createScreen } from '../../demo/screen.ts'

const TRUE = { text: 'two is even', holds: true }
const FALSE = { text: 'three is even', holds: false }

for (const { title, claims, outcome } of [
  { title: 'claims that hold give 0', claims: [TRUE], outcome: { exitCode: 0, held: 1, failed: [] } },
  {
    title: 'one false claim among true ones gives 1 and is named',
    claims: [TRUE, FALSE, TRUE],
    outcome: { exitCode: 1, held: 2, failed: ['three is even'] },
  },
  { title: 'to claim nothing proves nothing', claims: [], outcome: { exitCode: 1, held: 0, failed: [] } },
]) {
  t.test(title, async (t) => {
    t.strictSame(judgeClaims(claims), outcome)
  })
}

t.test('the end of the demo names what failed, and gives the exit code', async (t) => {
  let text = ''
  const screen = createScreen({ write: (more) => (text += more), columns: 80, hasColours: false })
  const claims = createClaims()
  t.equal(claims.check('two is even', true), true)
  t.equal(conclude(screen, claims, 1.25), 0)
  t.match(text, '✓ all 1 claim hold')
  t.equal(claims.check('three is even', false), false)
  t.equal(conclude(screen, claims, 1.25), 1)
  t.match(text, /✗ 1 claim of 2 failed:\n✗ three is even\n$/)
})
