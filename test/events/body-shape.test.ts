import { gzipSync } from 'node:zlib'
import t from 'tap'
import {
  findEvents,
  MOST_BYTES,
  MOST_KEYS,
  MOST_VALUES,
  type Range,
  readBody,
} from '../../src/events/body.ts'
import { numberedOr } from '../../src/events/lists.ts'
import { HOSTILE_BODIES } from '../support/hostile-bodies.ts'
import { mutateBody } from '../support/mutate.ts'
import { createRandom } from '../support/random.ts'
import fc from '../support/fast-check.ts'

/** The result of work in steps, and how many there were. */
function finish<T>(work: Generator<void, T>): { result: T; steps: number } {
  for (let steps = 1; ; steps++) {
    const step = work.next()
    if (step.done === true) return { result: step.value, steps }
  }
}

function problemOf(body: string | Buffer): string | undefined {
  try {
    finish(findEvents(Buffer.from(body)))
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** As it is read, and as JSON.parse alone would read it; both undefined where the post is refused. */
function readBoth(body: Buffer): [read: unknown, parsed: unknown] {
  let read, parsed
  try {
    read = Array.from(finish(readBody(body)).result())
  } catch {}
  try {
    const { data } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as { data: unknown }
    const list = numberedOr(data)
    if (Array.isArray(list) && list.length > 0 && list.length <= 1000) parsed = list as unknown
  } catch {}
  return [read, parsed]
}

t.test('a text ends at its quote, wherever in memory the body is', async (t) => {
  const ends = ['', '\\\\', '\\"', '\\\\\\"', '\\u0022', '\u00a2\u0122\u225c', ']}', '#!]^']
  for (let padding = 0; padding < 9; padding++) {
    for (const end of ends) {
      const texts = [
        `${'x'.repeat(padding)}${end}`,
        `${end}${'x'.repeat(padding)}`,
        `xxxx${end}${'y'.repeat(padding)}`,
      ]
      const bytes = Buffer.from(`{"data":[${texts.map((text) => `{"${text}":"${text}"}`).join(',')}]}`)
      for (let offset = 0; offset < 4; offset++) {
        const body = Buffer.from(new ArrayBuffer(offset + bytes.length), offset)
        body.set(bytes)
        const [read, parsed] = readBoth(body)
        t.ok(parsed !== undefined)
        t.strictSame(read, parsed, `${offset}: ${bytes.toString()}`)
      }
    }
  }
})

t.test('event by event, a body reads as JSON.parse reads the whole of it', async (t) => {
  const texts = [
    '{"data":[{"a":1},{"b":[{"c":"]}"}]}]}',
    '\ufeff { "data" : [ {"a":1} , 5, "x\\"]", null, [[1]], [0], [], {} ] , "data2": [{}] }',
    '{"data":[{"a":1}],"data":[{"b":2},{"c":3}]}',
    '{"x":[{"a":1}],"d\\u0061ta":[{"b":2}],"y":{"data":[{"c":3}]}}',
    '{"__proto__":{"data":[{}]}}',
    '{"data":[{"__proto__":1}]}',
    '[[{"a":1}]]',
    '{"data":[{"a":1}{"b":2}]}',
    '{"data":[1{"a":1}]}',
    '{"data":[{"a":1]]}',
    '{"data":[{"a":1}',
    '{"data":[{"a":1}]}]',
    '{"data":["a":{}]}',
    '{"data":["a]}',
    '{"data":["a\\"]}',
    '{"data":[{"a":1},]}',
    '{"data":{"a":[{"b":1}]}}',
    '{"data":{"0":{"a":1},"2":{"b":[{}]},"7":[[0]],"8":"x","9":5,"10":[0]}}',
    '{"data":{"1":{"b":2},"0":{"a":1}},"x":{"y":{"z":1}}}',
    '{"data":{"0":{"a":1},"x":{}}}',
    '{"data":{"0":{"a":1]}}',
    '{"data":{"0":{"a":}}}',
    '{"data":{"0":{"a":1}{}}}',
    '{"data":{}}',
    '"data"',
    '',
  ]
  for (const text of texts) {
    const [read, parsed] = readBoth(Buffer.from(text))
    t.strictSame(read, parsed, text)
  }
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue({ maxDepth: 6 }), { minLength: 1, maxLength: 5 }),
      fc.nat(),
      (data, seed) => {
        const body = Buffer.from(mutateBody(JSON.stringify({ data }), createRandom(seed).next))
        // A spoiled body may be nested too deeply, which JSON.parse does not mind.
        if (/must (hold at most|be at most|not be nested)/.test(problemOf(body) ?? '')) return true
        const [read, parsed] = readBoth(body)
        return JSON.stringify(read) === JSON.stringify(parsed)
      },
    ),
    { seed: 20_261_127 },
  )
})

t.test('what is refused is named by its place and rule, and never by what it holds', async (t) => {
  const keys = (count: number) => Array.from({ length: count }, (_, n) => `"k${n}":1`).join(',')
  const tooMany = `{${keys(MOST_KEYS + 1)}}`
  const rows: [body: string, message: string][] = [
    [`{"data":[{},{},${tooMany}]}`, 'data[2]: must hold at most 1000 keys.'],
    [`{"data":[{"em":{},"custom_data":${tooMany}}]}`, 'data[0].custom_data: must hold at most 1000 keys.'],
    [
      `{"data":[0,{"a":[1,2,{"a":[]}],"custom_data":{"contents":[{},[1],${tooMany}]}}]}`,
      'data[1].custom_data.contents[2]: must hold at most 1000 keys.',
    ],
    [`{"data":[{"jane@example.com":${tooMany}}]}`, 'data[0].(unnamed): must hold at most 1000 keys.'],
    [tooMany, 'The body must hold at most 1000 keys.'],
    [`{"data":[{}],"x":[${'[],'.repeat(MOST_VALUES)}0]}`, 'x[19997]: must hold at most 20000 values.'],
    [`{"data":[{"em":[${'0,'.repeat(MOST_VALUES)}0]}]}`, 'data[0]: must hold at most 20000 values.'],
    [`{"data":[${`[${'0,'.repeat(19_900)}0],`.repeat(51)}0]}`, 'The body must hold at most 1000000 values.'],
    [`{"data":[{"a":${'['.repeat(40)}`, 'data[0]: must not be nested deeper than 32 levels.'],
    ['{"a":'.repeat(40), 'a: must not be nested deeper than 32 levels.'],
    [`{"data":{"0":{},"2":{"custom_data":${tooMany}}}}`, 'data.custom_data: must hold at most 1000 keys.'],
    [`{"data":["${'x'.repeat(MOST_BYTES)}"]}`, 'data[0]: must be at most 1048576 bytes.'],
    [`{"data":[{"a":${'1'.repeat(MOST_BYTES)}}]}`, 'data[0]: must be at most 1048576 bytes.'],
    [`{"data":[{}]${' '.repeat(MOST_BYTES)}}`, 'The body must hold at most 1048576 bytes beside its events.'],
  ]
  for (const [body, message] of rows) t.equal(problemOf(body), message)
  t.equal(problemOf(`{"data":[{${keys(MOST_KEYS)}},{${keys(MOST_KEYS)}}]}`), undefined, 'at the bound')
  t.equal(problemOf(`{"data":[${`[${'0,'.repeat(19_900)}0],`.repeat(50)}0]}`), undefined, 'at the bound')
})

t.test('an event that is no JSON or no UTF-8 is named by its place', async (t) => {
  const rows: [body: string | Buffer, message: string][] = [
    ['{"data":[{},{"value":NaN,"em":"jane@example.com"}]}', 'data[1]: is not JSON.'],
    ['{"data":{"0":{},"7":{"a":}}}', 'data[1]: is not JSON.'],
    ['{"x":[{}],"data":[{},5,{"a":"\n"}]}', 'data[2]: is not JSON.'],
    ['{"data":[{}],"x":NaN}', 'The body is not JSON.'],
    [Buffer.from('{"x":[{}],"data":[{},{"fn":"Jos\xe9"}]}', 'latin1'), 'data[1]: is not valid UTF-8.'],
    [Buffer.from('\ufeff{"data":[{}]}', 'utf16le'), 'The body is not valid UTF-8.'],
    [gzipSync('{"data":[{}]}'), 'The body is not valid UTF-8.'],
    [Buffer.from('{"x":"Jos\xe9","data":[{}]}', 'latin1'), 'The body is not valid UTF-8.'],
    [Buffer.from('{"data":[{},"Jos\xe9"]}', 'latin1'), 'data[1]: is not valid UTF-8.'],
    [Buffer.from('{"data":[{"fn":"\ufffd" x}]}'), 'data[0]: is not JSON.'],
    [Buffer.from('{"x":"\ufffd" x,"data":[{}]}'), 'The body is not JSON.'],
  ]
  for (const [body, message] of rows)
    t.throws(() => [...finish(readBody(Buffer.from(body))).result()], { code: 'INVALID_REQUEST', message })
})

t.test('what is within a text is no structure', async (t) => {
  t.equal(problemOf(JSON.stringify({ data: ['['.repeat(100), '\\"[['.repeat(50)] })), undefined)
  t.equal(problemOf(`["${'\\\\'.repeat(40)}", [1]]`), undefined)
})

t.test('the look at a large body gives way to others, and is the same in steps', async (t) => {
  const event = `{"a":"${'x'.repeat(1000)}"}`
  const { result, steps } = finish(findEvents(Buffer.from(`{"data":[${Array(2000).fill(event).join(',')}]}`)))
  t.equal(steps, 8, 'one for each 256 KiB')
  t.equal(result.length, 2000)
  t.ok(
    result.every(
      ({ start, end }: Range, n) => start === 9 + n * (event.length + 1) && end === start + event.length,
    ),
  )
})

t.test('no body, whatever its shape, makes JSON.parse build much at once', async (t) => {
  // Over the bounds of keys and values; more of the same changes nothing.
  const sizeBytes = MOST_BYTES / 4
  for (const [name, make] of Object.entries(HOSTILE_BODIES)) {
    const { parse } = JSON
    const texts: string[] = []
    JSON.parse = (text: string) => {
      texts.push(text)
      return parse(text) as unknown
    }
    try {
      const { result: events } = finish(readBody(make(sizeBytes)))
      for (const event of events()) void event
    } catch (error) {
      t.match((error as Error).message, /^(The body|[\w.[\]()]+:) (must|is not)/, name)
    } finally {
      JSON.parse = parse
    }
    const largest = texts.reduce((most, text) => Math.max(most, Buffer.byteLength(text)), 0)
    const commas = texts
      .filter(({ length }) => length > MOST_VALUES)
      .reduce((most, text) => Math.max(most, text.split(/[,[{]/).length - 1), 0)
    t.ok(
      largest <= MOST_BYTES + 32 * 1024 && commas <= MOST_VALUES + 2000,
      `${name}: ${largest} bytes, ${commas} values`,
    )
  }
})
