import t from 'tap'
import { codeOf, placeOf } from '../../src/errors.ts'
import { createLog, type LogFields } from '../../src/telemetry/log.ts'

function collect() {
  const lines: string[] = []
  const log = createLog({ level: 'trace', destination: { write: (line) => void lines.push(line) } })
  return { log, lines }
}

t.test('a line is one JSON object of fields and a phrase', async (t) => {
  const { log, lines } = collect()
  log.info({ ad_account_id: '1', status: 200, events: 0 }, 'post answered')
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0]!), {
    level: 'info',
    ad_account_id: '1',
    status: 200,
    events: 0,
    phrase: 'post answered',
  })
  t.match(lines[0], /^\{"level":"info","time":"\d{4}-\d\d-\d\dT[\d:.]+Z".*\}\n$/)
})

t.test('what is not on the list is not logged, even if the types were fooled', async (t) => {
  const { log, lines } = collect()
  const smuggled = {
    status: 200,
    body: 'secret',
    em: 'a@b.example',
    reason: { deep: 'secret' },
    code: undefined,
  }
  log.warn(smuggled as unknown as LogFields, 'post answered')
  t.notMatch(lines[0], /secret|example/)
  t.strictSame(Object.keys(JSON.parse(lines[0]!) as object).toSorted(), ['level', 'phrase', 'status', 'time'])
})

t.test('of an error its code is logged and its place, never its message', async (t) => {
  const error = Object.assign(new TypeError('cannot read secret@example.com'), { code: 'E_SOMETHING' })
  t.equal(codeOf(error), 'E_SOMETHING')
  t.equal(codeOf(new TypeError('secret')), 'TypeError')
  t.equal(codeOf('secret'), 'UNKNOWN')
  error.stack = `TypeError: secret src/x.ts:1:1\n    at f (file:///relay/src/events/prepare.ts:10:5)\n    at g (node:fs:1:1)`
  t.equal(placeOf(error), 'src/events/prepare.ts:10:5')
  t.equal(placeOf('secret'), undefined)
})
