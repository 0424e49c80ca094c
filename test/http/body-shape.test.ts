import fc from 'fast-check'
import t from 'tap'
import { findShapeProblem } from '../../src/http/body-shape.ts'

const large = (text: string) => Buffer.from(text.padEnd(70_000))

t.test('deep nesting and a flood of values are found before anything is parsed', async (t) => {
  t.match(findShapeProblem(Buffer.from('['.repeat(100_000))), /nested/)
  t.match(findShapeProblem(Buffer.from('{"a":'.repeat(50_000))), /nested/)
  t.match(findShapeProblem(Buffer.from(`[${'1,'.repeat(1_100_000)}1]`)), /values/)
  t.match(findShapeProblem(Buffer.from(`[${'{},'.repeat(600_000)}{}]`)), /values/)
})

t.test('what stands in a text is no structure', async (t) => {
  t.equal(findShapeProblem(large(JSON.stringify({ data: ['['.repeat(100), '\\"[['.repeat(50)] }))), undefined)
  t.equal(findShapeProblem(large(`["${'\\\\'.repeat(40)}", [1]]`)), undefined)
})

t.test('no honest body is refused', async () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 8 }),
      (value) => findShapeProblem(large(JSON.stringify(value))) === undefined,
    ),
  )
})

t.test('small bodies are not looked at', async (t) => {
  t.equal(findShapeProblem(Buffer.from('['.repeat(60_000))), undefined)
})
