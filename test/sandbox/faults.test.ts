import { once } from 'node:events'
import { connect } from 'node:net'

import t from 'tap'

import { pickFault, readFaultRules, selectEvents } from '../../sandbox/faults.ts'
import type { FaultCall, FaultRule } from '../../sandbox/faults.ts'
import { createSandbox } from '../../sandbox/sandbox.ts'
import { ACCOUNT, control, makeEvent, post, postRaw } from './post.ts'

const CALL: FaultCall = { adAccountId: ACCOUNT, isTest: false, moment: 'body', events: [makeEvent()] }
const never = () => 1
const pick = (rules: readonly FaultRule[], changes: Partial<FaultCall> = {}, random = never) =>
  pickFault(
    rules.map((rule) => ({ rule, used: 0 })),
    { ...CALL, ...changes },
    random,
  )

await t.test('which fault a call gets', async (t) => {
  const hang: FaultRule = { kind: 'hang' }
  const early: FaultRule = { kind: 'reset', when: 'beforeBody' }
  const late: FaultRule = { kind: 'reset', when: 'afterRecording' }
  const poison: FaultRule = { kind: 'poison', eventIds: ['event-1'] }
  const rows: readonly (readonly [
    name: string,
    rule: FaultRule,
    changes: Partial<FaultCall>,
    applies: boolean,
  ])[] = [
    ['any call', hang, {}, true],
    ['its account', { ...hang, adAccountId: ACCOUNT }, {}, true],
    ['another account', { ...hang, adAccountId: '1' }, {}, false],
    ['a live call', { ...hang, isTest: false }, {}, true],
    ['a test call', { ...hang, isTest: false }, { isTest: true }, false],
    ['a reset before the body, at the head', early, { moment: 'head' }, true],
    ['a reset before the body, after it', early, {}, false],
    ['a later reset, at the head', late, { moment: 'head' }, false],
    ['a later reset, after the body', late, {}, true],
    ['anything else at the head', hang, { moment: 'head' }, false],
    ['the poisonous event', poison, {}, true],
    ['no poisonous event', poison, { events: [makeEvent({ event_id: 'other' }), null, 7] }, false],
    ['a firewall without a text', { kind: 'firewall' }, {}, true],
    ['a firewall, a text of the event', { kind: 'firewall', text: '"event-1"' }, {}, true],
    ['a firewall, another text', { kind: 'firewall', text: 'DROP TABLE' }, {}, false],
    ['failEvents that selects none', { kind: 'failEvents', indexes: [1] }, {}, false],
    ['failEvents that selects one', { kind: 'failEvents', eventNames: ['checkout'] }, {}, true],
  ]
  for (const [name, rule, changes, applies] of rows) {
    t.equal(pick([rule], changes).fault !== undefined, applies, name)
  }
})

await t.test('the first fault wins, latencies add up', async (t) => {
  const { fault, delayMs, applied } = pick([
    { kind: 'latency', delayMs: 20 },
    { kind: 'hang' },
    { kind: 'truncated' },
    { kind: 'latency', delayMs: 3 },
  ])
  t.equal(fault?.kind, 'hang')
  t.equal(delayMs, 23)
  t.strictSame(
    applied.map(({ rule }) => rule.kind),
    ['latency', 'hang', 'latency'],
  )
})

await t.test('probability is drawn once per rule', async (t) => {
  const rules: readonly FaultRule[] = [
    { kind: 'hang', probability: 0.5 },
    { kind: 'truncated', probability: 0.5 },
  ]
  const draws = [0.5, 0.49]
  t.equal(pick(rules, {}, () => draws.shift()!).fault?.kind, 'truncated')
  t.equal(pick(rules, {}, () => 0.9).fault, undefined)
})

await t.test('a rule that was used up is passed over', async (t) => {
  const rule: FaultRule = { kind: 'hang', times: 2 }
  t.equal(pickFault([{ rule, used: 1 }], CALL, never).fault, rule)
  t.equal(pickFault([{ rule, used: 2 }], CALL, never).fault, undefined)
})

await t.test('failEvents selects by id, by name, by position, or all', async (t) => {
  const events = ['a', 'b', 'c'].map((id) => makeEvent({ event_id: id, event_name: `name-${id}` }))
  t.strictSame(selectEvents({ kind: 'failEvents', eventIds: ['c'], indexes: [0] }, events), [0, 2])
  t.strictSame(selectEvents({ kind: 'failEvents', eventNames: ['name-b'] }, events), [1])
  t.strictSame(selectEvents({ kind: 'failEvents' }, events), [0, 1, 2])
})

await t.test('rules that make no sense are refused with the reason', async (t) => {
  const rows: readonly (readonly [body: unknown, message: string])[] = [
    [{}, 'a list of fault rules is expected'],
    [[{ kind: 'hang' }, { kind: 'explode' }], 'rule 1: kind must be one of latency, status, reset'],
    [[{ kind: 'latency' }], "rule 0: 'delayMs' is a required property"],
    [[{ kind: 'hang', account: '1' }], "('account' was unexpected)"],
    [[{ kind: 'hang', times: 0 }], '0 is less than the minimum of 1'],
    [[{ kind: 'reset', when: 'later' }], 'rule 0: '],
  ]
  for (const [body, message] of rows) {
    const read = readFaultRules(body)
    t.equal(read.status, 'refused')
    t.ok(read.status === 'refused' && read.message.includes(message), JSON.stringify(read))
  }
})

await t.test('on the wire', async (t) => {
  const sandbox = await createSandbox()
  t.teardown(() => sandbox.close())
  t.beforeEach(() => {
    sandbox.faults.clear()
    sandbox.journal.clear()
    sandbox.conversions.clear()
  })
  const recorded = () => sandbox.conversions.summary(ACCOUNT).recorded
  const last = () => sandbox.journal.calls().at(-1)
  const codeOf = async (posting: Promise<unknown>): Promise<unknown> => {
    const error = await posting.then(
      () => undefined,
      (error: unknown) => error,
    )
    return ((error as Error | undefined)?.cause as { code?: string } | undefined)?.code
  }

  for (const [when, count] of [
    ['beforeBody', 0],
    ['afterBody', 0],
    ['afterRecording', 1],
  ] as const) {
    await t.test(`reset ${when} is a connection reset`, async (t) => {
      sandbox.faults.set([{ kind: 'reset', when }])
      t.equal(await codeOf(postRaw(sandbox)), 'ECONNRESET')
      t.equal(recorded(), count)
      t.match(last(), { fault: 'reset' })
      t.notHas(last(), 'status')
    })
  }

  await t.test('reset beforeBody does not wait for the body', async (t) => {
    sandbox.faults.set([{ kind: 'reset', when: 'beforeBody' }])
    const socket = connect(sandbox.port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.write(`POST /v5/ad_accounts/${ACCOUNT}/events HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n`)
    const [error] = await once(socket, 'error')
    t.match(error, { code: 'ECONNRESET' })
  })

  for (const isRecorded of [false, true]) {
    await t.test(
      `hang gives no answer until the caller leaves, ${isRecorded ? '' : 'not '}recorded`,
      async (t) => {
        sandbox.faults.set([{ kind: 'hang', isRecorded }])
        const leaving = new AbortController()
        let isAnswered = false
        const posting = postRaw(sandbox, { signal: leaving.signal }).finally(() => (isAnswered = true))
        const rejected = t.rejects(posting, { name: 'AbortError' })
        await sandbox.until(() => last()?.fault === 'hang')
        // A second call on the same server is answered while the first hangs.
        sandbox.faults.clear()
        t.equal((await post(sandbox, { query: '?test=true' })).status, 200)
        t.equal(isAnswered, false)
        leaving.abort()
        await rejected
        t.equal(recorded(), isRecorded ? 1 : 0)
      },
    )
  }

  await t.test('truncated ends before its content-length', async (t) => {
    sandbox.faults.set([{ kind: 'truncated', missingBytes: 10 }])
    const response = await postRaw(sandbox)
    t.equal(response.status, 200)
    t.equal(await codeOf(response.text()), 'UND_ERR_SOCKET')
    t.equal(recorded(), 1)
  })

  await t.test('drip sends the whole answer in small parts', async (t) => {
    sandbox.faults.set([{ kind: 'drip', chunkBytes: 40, intervalMs: 2 }])
    const response = await postRaw(sandbox)
    const chunks: Uint8Array[] = []
    for await (const chunk of response.body!) chunks.push(chunk)
    t.ok(chunks.length > 1)
    t.match(JSON.parse(Buffer.concat(chunks).toString()), { num_events_processed: 1 })
  })

  await t.test('hugeAnswer is as large as asked and still JSON', async (t) => {
    sandbox.faults.set([{ kind: 'hugeAnswer', sizeBytes: 300_000 }])
    const text = await (await postRaw(sandbox)).text()
    t.ok(text.length > 300_000)
    t.match(JSON.parse(text), { num_events_received: 1, padding: 'x'.repeat(300_000) })
  })

  await t.test('latency delays the answer of a call that is recorded at once', async (t) => {
    sandbox.faults.set([{ kind: 'latency', delayMs: 50 }])
    const startedMs = performance.now()
    const posting = post(sandbox)
    await sandbox.until(() => recorded() === 1)
    t.equal((await posting).status, 200)
    // A timer may fire up to a millisecond early.
    t.ok(performance.now() - startedMs >= 49)
  })

  await t.test('status answers in place of Pinterest', async (t) => {
    sandbox.faults.set([{ kind: 'status', status: 503, times: 1, headers: { 'Retry-After': '7' } }])
    const { status, headers, body } = await post(sandbox)
    t.equal(status, 503)
    t.equal(headers.get('retry-after'), '7')
    t.equal(body.code, 4197)
    t.equal(recorded(), 0)
    t.match(last(), { status: 503, fault: 'status' })
    t.equal((await post(sandbox)).status, 200, 'once was enough')
  })

  await t.test('status can redirect, speak HTML, echo the token, or lose an outcome', async (t) => {
    sandbox.faults.set([{ kind: 'status', status: 302, headers: { Location: 'http://127.0.0.1:1/' } }])
    const redirect = await postRaw(sandbox)
    t.equal(redirect.status, 302)
    t.equal(redirect.headers.get('location'), 'http://127.0.0.1:1/')
    await redirect.text()

    sandbox.faults.set([{ kind: 'status', status: 502, body: '<h1>Bad {access_token}</h1>' }])
    const page = await postRaw(sandbox, { token: 'pina_secret' })
    t.match(page.headers.get('content-type'), 'text/html')
    t.equal(await page.text(), '<h1>Bad pina_secret</h1>')

    sandbox.faults.set([{ kind: 'status', status: 200, body: { odd: true }, isRecorded: true }])
    const odd = await postRaw(sandbox)
    t.strictSame(await odd.json(), { odd: true })
    t.equal(recorded(), 1)
  })

  await t.test('a fault comes before the token is asked for', async (t) => {
    sandbox.faults.set([{ kind: 'status', status: 503 }])
    t.equal((await post(sandbox, { token: null })).status, 503)
  })

  await t.test('failEvents fails what it selects, as 422 or 200', async (t) => {
    const data = ['a', 'b', 'c'].map((id) => makeEvent({ event_id: id }))
    data[2]!['user_data'] = { em: ['raw'] }
    sandbox.faults.set([{ kind: 'failEvents', eventIds: ['b'], message: 'no thanks' }])
    const refused = await post(sandbox, { body: { data } })
    t.equal(refused.status, 422)
    t.strictSame(
      refused.body.details?.events.map(({ error_message }) => error_message),
      ['', 'no thanks', "'em' is not in sha256 hashed format"],
    )
    t.strictSame([...sandbox.conversions.counts(ACCOUNT).keys()], ['a'])

    sandbox.faults.set([{ kind: 'failEvents', indexes: [0], status: 200 }])
    const accepted = await post(sandbox, { body: { data: data.slice(0, 2) } })
    t.equal(accepted.status, 200)
    t.equal(accepted.body.num_events_processed, 1)
    t.strictSame(
      accepted.body.events?.map(({ status }) => status),
      ['failed', 'processed'],
    )
  })

  await t.test('wrongCount answers with more or fewer results than events', async (t) => {
    for (const difference of [-1, 1]) {
      sandbox.faults.set([{ kind: 'wrongCount', difference }])
      const { status, body } = await post(sandbox)
      t.equal(status, 200)
      t.equal(body.num_events_received, 1)
      t.equal(body.events?.length, 1 + difference)
    }
  })

  await t.test('poison refuses every call that holds the event, and says no more', async (t) => {
    for (const status of [400, 422]) {
      sandbox.conversions.clear()
      sandbox.faults.set([{ kind: 'poison', eventIds: ['bad'], status }])
      const data = [makeEvent(), makeEvent({ event_id: 'bad' })]
      const refused = await post(sandbox, { body: { data } })
      t.equal(refused.status, status)
      t.notHas(refused.body, 'details')
      t.equal(recorded(), 0)
      t.equal((await post(sandbox, { body: { data: data.slice(0, 1) } })).status, 200)
    }
  })

  await t.test('a firewall refuses every call that holds its text, with a page', async (t) => {
    sandbox.conversions.clear()
    const data = [makeEvent({ event_id: 'DROP TABLE' })]
    for (const [rule, status] of [
      [{ kind: 'firewall', text: 'DROP TABLE' }, 403],
      [{ kind: 'firewall', status: 451 }, 451],
    ] as const) {
      sandbox.faults.set([rule])
      const refused = await postRaw(sandbox, { body: { data } })
      t.equal(refused.status, status)
      t.match(await refused.text(), /^<html>/)
      t.equal(recorded(), 0)
    }
  })

  await t.test('a fault for one account spares the others', async (t) => {
    sandbox.faults.add({ kind: 'status', status: 500, adAccountId: '7' })
    t.equal((await post(sandbox, { adAccountId: '7' })).status, 500)
    t.equal((await post(sandbox)).status, 200)
  })

  await t.test('over HTTP: set, read, clear', async (t) => {
    const rule = { kind: 'status', status: 500, times: 3 }
    t.equal((await control(sandbox, 'PUT', 'faults', [rule])).status, 200)
    t.equal((await post(sandbox)).status, 500)
    t.strictSame((await control(sandbox, 'GET', 'faults')).body, { faults: [{ rule, used: 1 }] })
    const refused = await control(sandbox, 'PUT', 'faults', [{ kind: 'explode' }])
    t.equal(refused.status, 400)
    t.match(refused.body['message'], 'rule 0: kind must be one of')
    t.equal((await post(sandbox)).status, 500, 'a refused list changes nothing')
    t.equal((await control(sandbox, 'DELETE', 'faults')).status, 200)
    t.equal((await post(sandbox)).status, 200)
  })
})

await t.test('close ends calls that hang or wait', async (t) => {
  const sandbox = await createSandbox()
  sandbox.faults.set([
    { kind: 'latency', delayMs: 3_600_000, adAccountId: '1' },
    { kind: 'hang', adAccountId: '2' },
    { kind: 'drip', chunkBytes: 1, intervalMs: 3_600_000, adAccountId: '3' },
  ])
  const postings = ['1', '2', '3'].map((adAccountId) =>
    postRaw(sandbox, { adAccountId }).then((response) => response.text()),
  )
  const acknowledged = Promise.allSettled(postings)
  await sandbox.until(() => sandbox.journal.calls().length === 3)
  const waiting = t.rejects(
    sandbox.until(() => false),
    { message: 'the sandbox was closed' },
  )
  await sandbox.close()
  await waiting
  t.strictSame(
    (await acknowledged).map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  )
})
