import t from 'tap'
import { fitCells, layOut } from '../../demo/columns.ts'
import { cellsOf } from '../../src/cli/table.ts'

for (const [text, cells] of [
  ['', 0],
  ['Person', 6],
  ['José', 4],
  ['Jose\u0301', 4],
  ['千代田区', 8],
  ['０９０', 6],
  ['ŁUKASZ', 6],
  ['✓', 1],
] as const) {
  t.test(`${JSON.stringify(text)} takes ${cells} cells`, async (t) => {
    t.equal(cellsOf(text), cells)
  })
}

t.test('a text is filled up or cut to exactly the cells that there are', async (t) => {
  t.equal(fitCells('ab', 4), 'ab  ')
  t.equal(fitCells('abcdef', 4), 'abc…')
  t.equal(fitCells('千代田区', 6), '千代… ', 'half of a wide letter is not shown')
  t.equal(cellsOf(fitCells('千代田区', 5)), 5)
})

t.test('columns are below one another, whatever is in them', async (t) => {
  const rows = [
    [{ text: 'ct' }, { text: '千代田区' }, { text: 'x' }],
    [{ text: 'country' }, { text: 'jp' }, { text: 'y' }],
  ]
  t.strictSame(layOut(rows, { width: 80, hasColours: false }), [
    'ct       千代田区  x',
    'country  jp        y',
  ])
})

t.test('in a narrow terminal the widest column gives way', async (t) => {
  const rows = [[{ text: 'em' }, { text: 'a'.repeat(60) }, { text: 'b'.repeat(20) }]]
  const [line = ''] = layOut(rows, { width: 50, hasColours: false })
  t.equal(cellsOf(line), 50)
  t.match(line, /^em {2}a+… {2}b{20}$/)
})

t.test('a tick is close to what it is about', async (t) => {
  const rows = [[{ text: '✓' }, { text: 'em' }, { text: 'x' }]]
  t.strictSame(layOut(rows, { width: 80, hasColours: false }), ['✓ em  x'])
})

t.test('colours do not move a column', async (t) => {
  const rows = [[{ text: 'ab', style: 'green' as const }, { text: 'c' }]]
  t.strictSame(layOut(rows, { width: 80, hasColours: true }), ['\u001b[32mab\u001b[39m  c'])
})
