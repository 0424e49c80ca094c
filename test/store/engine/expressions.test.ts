/** Expressions of custom sources: what does not end, or grows without end, costs nobody but its own source. */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import t from 'tap'
import { createExpressions } from '../../../src/store/engine/expressions.ts'
import type { Webhook } from '../../../src/sources/source.ts'
import { OPTIONS } from '../../sources/options.ts'

const webhook = (expression: string): Webhook => ({
  options: { ...OPTIONS, kind: 'custom', expression },
  secrets: [],
  headers: {},
  oldestMs: 0,
})
const BODY = Buffer.from(JSON.stringify({ id: 7, text: `${'a'.repeat(40)}!` }))

t.test('an expression that does not end, in any way, is stopped', async (t) => {
  const expressions = createExpressions({ mostCpuUs: 150_000 })
  t.teardown(() => expressions.close())
  const ask = (name: string, expression: string) => expressions.map(name, webhook(expression), BODY)
  const endless = {
    recursion: '($f := function($n){$f($n + 1)}; $f(0))',
    'a regular expression': '$match(body.text, /^(a+)+$/)',
  }
  // They end by themselves, so that one thread does for all.
  const growing = {
    'deep recursion': '($f := function($n){1 + $f($n + 1)}; $f(0))',
    'a range': '$sum([0..9999999].($ * 2))',
    'a huge text': '$pad("", 500000000, "x")',
    'a text that doubles': '($f := function($s){$f($s & $s)}; $f("xxxxxxxx"))',
  }
  const bystander = ask('bystander', '{"event_id": body.id}')
  const asked = [
    ...Object.entries(endless).map(([name, expression]) => [name, name, expression] as const),
    ...Object.entries(growing).map(([name, expression]) => [name, 'growing', expression] as const),
  ]
  const results = await Promise.all(
    asked.map(async ([name, source, expression]) => [name, await ask(source, expression)] as const),
  )
  for (const [name, result] of results) {
    t.match(
      result,
      { status: 'invalid', reason: 'mapping_failed', message: /^the expression (failed|took|makes)/ },
      name,
    )
    t.notMatch(JSON.stringify(result), 'aaaa', 'and no value is told')
  }
  t.match(await bystander, { status: 'mapped' })
  t.match(
    await ask('a regular expression', '{"event_id": body.id}'),
    { status: 'mapped' },
    'its source goes on',
  )
})

t.test('the webhooks of one source come out in their order', async (t) => {
  const expressions = createExpressions()
  t.teardown(() => expressions.close())
  const order: number[] = []
  await Promise.all(
    [1, 2, 3].map(async (n) => {
      const mapped = await expressions.map(
        'one',
        webhook('{"event_id": body.id}'),
        Buffer.from(`{"id":${n}}`),
      )
      order.push(n)
      t.match(
        mapped.status === 'mapped' && Buffer.from(mapped.payload).toString(),
        `{"data":[{"event_id":${n}}]}`,
      )
    }),
  )
  t.same(order, [1, 2, 3])
})

t.test('what is made is bounded', async (t) => {
  const expressions = createExpressions()
  t.teardown(() => expressions.close())
  const large = await expressions.map('large', webhook('[1..50].{"x": $pad("", 100000, "x")}'), BODY)
  t.match(large, { status: 'invalid', message: /^the expression makes more than \d+ bytes$/ })
  t.equal(await expressions.findFault('body.id'), undefined)
  t.match(await expressions.findFault('body.['), /JSONata error S\d{4} at character/)
})

t.test('a webhook that no thread could read is not taken', async (t) => {
  const missing = createExpressions({ file: new URL('./no-such-thread.ts', import.meta.url) })
  t.teardown(() => missing.close())
  await t.rejects(missing.map('one', webhook('body'), BODY), { code: 'TOO_BUSY' })
  await t.rejects(missing.map('one', webhook('body'), BODY), { code: 'TOO_BUSY' }, 'nor the one after it')
})

t.test('a thread that dies between two webhooks costs neither', async (t) => {
  const expressions = createExpressions({ file: new URL('./fleeting-thread.ts', import.meta.url) })
  t.teardown(() => expressions.close())
  for (const n of [1, 2]) {
    const started = once(process, 'worker')
    t.same(await expressions.findFault('body'), 'answered', `webhook ${n}`)
    const [worker] = (await started) as [Worker]
    if (worker.threadId !== -1) await once(worker, 'exit')
  }
})

t.test('what is under way when the relay closes is not taken for a fault of the expression', async (t) => {
  const expressions = createExpressions()
  const results = ['one', 'two'].map((n) =>
    expressions.map('one', webhook('$match(body.text, /^(a+)+$/)'), BODY).then(
      () => `${n} taken`,
      ({ code }: { code: string }) => code,
    ),
  )
  await delay(300)
  await expressions.close()
  t.same(await Promise.all(results), ['SHUTTING_DOWN', 'SHUTTING_DOWN'])
})
