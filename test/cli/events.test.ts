/** `events`, `event` and `erase`, against a whole relay. */
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { rawEvent } from '../support/events.ts'
import { enter, setUp } from '../support/relay.ts'
import { createCommandLine } from './stage.ts'

const order = (event_id: string, order_id: string) => rawEvent({ event_id, custom_data: { order_id } })

t.test('what happened to order 4711 is shown in a line, and step by step', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  const { account } = stand
  await stand.post({ data: [order('e-1', '4711'), rawEvent({ event_id: 'e-2', event_time: 1 })] })
  while (!(await relay('events --order 4711')).stdout.includes('delivered')) await pause(20)
  const listed = await relay(`events --account ${account}`)
  t.match(listed, { code: 0, stderr: '' })
  t.match(listed.stdout, /^RECEIVED +ACCOUNT +EVENT +EVENT ID +ORDER +OUTCOME/)
  t.match(listed.stdout, /e-2 +- +invalid +too_old +0/)
  t.match(listed.stdout, /e-1 +4711 +delivered +- +1/)
  t.match(await relay(`events --account ${account} --limit 1`), { code: 0, stderr: /there are more/ })
  t.match(JSON.parse((await relay('events --event-id e-1 --json')).stdout), {
    events: [{ order_id: '4711', outcome: 'delivered' }],
    next_cursor: null,
  })
  t.match(await relay('events --order none'), { code: 0, stdout: 'no events' })

  for (const id of ['e-1', '4711']) {
    const { code, stdout } = await relay(`event ${id}`)
    t.equal(code, 0)
    t.match(stdout, /order +4711\n.*outcome +delivered\n.*from +key [0-9a-f-]+ \([^)]+\)\ncall +\S+\n/s, id)
    t.match(stdout, /Z +received\n.*Z +committed\n.*Z +called\n.*Z +delivered$/s, id)
  }
  t.match(await relay('event e-2'), { code: 0, stdout: /outcome +invalid: too_old/ })
  t.match(await relay('event none'), {
    code: 3,
    stdout: /^no event with this id: it did not come, the trail no longer has it/,
  })

  await stand.post({ data: [order('same', 'same'), order('same', 'same'), order('same', 'same')] })
  while (!(await relay('event same')).stdout.includes('delivered')) await pause(20)
  t.equal((await relay('event same')).stdout.match(/^outcome/gm)?.length, 3, 'each of them once')
})

t.test('of an event that waits it says why, and no more of it once it is delivered', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  stand.sandbox.faults.set([{ kind: 'status', status: 503, body: {} }])
  await stand.post({ data: [order('waits', 'waits')] }, { headers: { prefer: 'respond-async' } })
  let shown = await relay('event waits')
  // It was in a call that failed, and waits for the next.
  while (!/next try in/.test(shown.stdout)) shown = await relay('event waits')
  t.match(
    shown.stdout,
    /outcome +queued\n.*committed\nqueue now +failing: Pinterest does not answer.*\nfailed calls +\d+ since \S+Z, the last at \S+Z: status 503\nnext try in +\d+ s$/s,
  )
  t.equal(shown.stdout.match(/^outcome/gm)?.length, 1, 'once, found by both ids')
  await stand.admin('POST', `/accounts/${stand.account}/pause`)
  stand.sandbox.faults.clear()
  t.match(
    (await relay('event waits')).stdout,
    new RegExp(
      `queue now +paused: .*\nfailed calls .*\nwhat to do +relay account resume ${stand.account}$`,
      's',
    ),
  )
  await stand.admin('POST', `/accounts/${stand.account}/resume`)
  while (!shown.stdout.includes('delivered')) shown = await relay('event waits')
  t.match(
    shown.stdout,
    /status 503\n.*called\n.*delivered$/s,
    'then its way has the failed calls, and its queue is not shown',
  )
  t.match((await stand.admin('GET', '/events?event_id=waits')).body, { events: [{ queue: null }] })
})

t.test('of an event that Pinterest rejected it says why, and what to do', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  stand.sandbox.faults.set([{ kind: 'failEvents', eventIds: ['bad'], message: 'no such currency' }])
  await stand.post({ data: [order('bad', 'o-bad')] })
  const { dead_letters: letters } = JSON.parse((await relay('dead list --event-id bad --json')).stdout) as {
    dead_letters: { id: number }[]
  }
  const [{ id } = { id: 0 }] = letters
  for (const asked of ['bad', 'o-bad'])
    t.match(
      (await relay(`event ${asked}`)).stdout,
      new RegExp(
        `rejected\ndead letter +${id}: no such currency\nwhat to do +repair the cause, then relay dead replay ${id} --yes$`,
      ),
    )
  await relay(`dead purge ${id} --yes`)
  t.match((await relay('event bad')).stdout, /rejected$/, 'nothing of a dead letter that is gone')
})

t.test('where the trail is off, no answer looks as if the event had not come', async (t) => {
  const stand = await setUp(t, { TRAIL_HOURS: '0' })
  const relay = createCommandLine(stand)
  await stand.post({ data: [order('e-1', '4711')] })
  t.match(await relay('events'), { code: 0, stdout: /^there is no event trail: TRAIL_HOURS is 0$/ })
  t.match(await relay('event 4711'), { code: 3, stdout: /^there is no event trail: TRAIL_HOURS is 0$/ })
  t.match(await relay('events --follow'), { code: 1, stderr: /no event trail: TRAIL_HOURS is 0/ })
})

t.test('events are followed as they come and change, until the relay ends', async (t) => {
  const stand = await setUp(t)
  const relay = createCommandLine(stand)
  const following = relay('events --follow --outcome delivered --limit 2')
  let isDone = false
  void following.finally(() => (isDone = true))
  for (let n = 0; !isDone; n++) {
    await stand.post({ data: [order(`followed-${n}`, `o-${n}\u001b]0;title\u0007\n`)] })
    await pause(50)
  }
  const { code, stdout, stderr } = await following
  t.equal(code, 0)
  t.equal(stderr, 'following; Ctrl-C ends it')
  t.equal(stdout.split('\n').length, 2)
  t.match(stdout, /followed-\d+ {2}o-\d+ \]0;title +delivered/, 'nothing of a sender moves the cursor')
  t.match(await relay('events --outcome lost'), {
    code: 1,
    stderr: /^The relay answered 400: outcome: must be one of queued,delivered,.*,erased$/,
  })
  t.match(await relay('events --since monday'), { code: 1, stderr: /since: must be seconds .* as 2026-\S+$/ })
  t.match(await relay('events --follow --since 2026-01-01'), { code: 2, stderr: /--follow begins now/ })
  const endless = relay('events --follow --json')
  await stand.relay.close()
  t.match(await endless, { code: 1, stderr: /The relay ended the stream/ })
})

t.test('erase says what is gone, and wants to be sure', async (t) => {
  const stand = await enter(t)
  const relay = createCommandLine(stand)
  await stand.admin('POST', `/accounts/${stand.account}/pause`)
  await stand.post({ data: [order('e-9', 'o-9')] }, { headers: { prefer: 'respond-async' } })
  t.match(await relay('erase --order o-9'), { code: 2, stderr: /add --yes/ })
  t.match(await relay('erase --yes'), { code: 2, stderr: /--order or --event-id/ })
  let ended = await relay('erase --order o-9 --yes')
  while (ended.code === 3) ended = await relay('erase --order o-9 --yes')
  t.match(ended, { code: 0, stdout: 'erased: 1 queued, 0 dead letters' })
  t.match(await relay('erase --order o-9 --yes'), { code: 0, stdout: /^nothing waits of it: relay event ID/ })
  t.match(await relay('event e-9'), { stdout: /outcome +erased/ })
  t.match(await relay('dead list --order o-9'), { stdout: 'no dead letters' })
})
