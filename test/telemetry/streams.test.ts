import t from 'tap'
import { createLog } from '../../src/telemetry/log.ts'
import { createStreams } from '../../src/telemetry/streams.ts'
import { createManualClock, type ManualClock } from '../support/clock.ts'

const QUARTER_MS = 15 * 60_000
const DAY_QUARTERS = 96

function setUp() {
  const clock = createManualClock()
  const lines: string[] = []
  const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } })
  return { clock, lines, streams: createStreams({ clock, log }) }
}

async function pass(clock: ManualClock, quarters: number, each: () => void): Promise<void> {
  for (let quarter = 0; quarter < quarters; quarter++) {
    each()
    await clock.advance(QUARTER_MS)
  }
}

function times(count: number, act: () => void): void {
  for (let n = 0; n < count; n++) act()
}

t.test(
  'a stream that stops while another continues is marked, logged once, and let go when it is back',
  async (t) => {
    const { clock, lines, streams } = setUp()
    const visits = () =>
      times(40, () => streams.note('1', { eventName: 'page_visit', events: 1, counts: {} }))
    const both = () => {
      visits()
      times(20, () => streams.note('1', { eventName: 'checkout', events: 1, counts: {} }))
    }
    await pass(clock, 4 * DAY_QUARTERS, both)
    t.match(streams.volume(), [
      { eventName: 'page_visit', state: 'normal', observed: 160, expected: 160, windowMinutes: 60 },
      { eventName: 'checkout', state: 'normal', observed: 80, expected: 80 },
    ])
    const stoppedMs = clock.wallMs()
    await pass(clock, 6, visits)
    const [first] = streams.volume(24, '1')
    t.match(first, {
      adAccountId: '1',
      eventName: 'checkout',
      state: 'drop',
      expected: 80,
      windowMinutes: 60,
    })
    t.ok(first!.sinceMs > stoppedMs && first!.sinceMs <= stoppedMs + 4 * QUARTER_MS)
    t.equal(first!.hours.length, 24)
    t.equal(first!.hours[0], 80)
    await pass(clock, 6, both)
    t.equal(streams.volume()[0]?.eventName, 'page_visit')
    t.match(
      lines.map((line) => JSON.parse(line) as object),
      [
        { level: 'warn', ad_account_id: '1', event_name: 'checkout', reason: 'drop' },
        { level: 'info', ad_account_id: '1', event_name: 'checkout', reason: 'normal' },
      ],
    )
    t.equal(lines.length, 2)
  },
)

t.test("a storefront's own event name is watched, but is in no log line", async (t) => {
  const { clock, lines, streams } = setUp()
  const own = 'person@example.com bought'
  await pass(clock, 20, () => times(30, () => streams.note('1', { eventName: own, events: 1, counts: {} })))
  await pass(clock, 4, () => undefined)
  t.match(streams.volume(), [{ eventName: own, state: 'drop' }])
  t.equal(lines.length, 1)
  t.notMatch(lines[0], 'example')
})

t.test(
  'setting the wall clock makes no drop; a loop that was held up for an hour still counts right',
  async (t) => {
    const { clock, streams } = setUp()
    await pass(clock, 4 * DAY_QUARTERS, () =>
      times(20, () => streams.note('1', { eventName: 'checkout', events: 1, counts: {} })),
    )
    clock.setWall(clock.wallMs() + 5 * 86_400_000)
    await pass(clock, 4, () =>
      times(20, () => streams.note('1', { eventName: 'checkout', events: 1, counts: {} })),
    )
    t.match(streams.volume(), [{ state: 'normal', observed: 80 }])
  },
)

t.test('names and streams are bounded, and a removed account is forgotten', async (t) => {
  const { clock, lines, streams } = setUp()
  for (let name = 0; name < 60; name++)
    streams.note('1', { eventName: `name-${name}`, events: 1, counts: {} })
  streams.note('1', { eventName: undefined, events: 1, counts: {} })
  t.equal(streams.volume().length, 51)
  t.ok(streams.volume().some(({ eventName }) => eventName === '(other)'))
  for (let account = 2; account < 5100; account++) {
    streams.note(String(account), {
      eventName: account < 3000 ? 'name of its own' : 'checkout',
      events: 1,
      counts: {},
    })
    streams.note(String(account), { eventName: 'checkout', events: 1, counts: {} })
  }
  t.equal(streams.volume().length, 5000)
  const ownNames = streams.volume().filter(({ eventName }) => eventName !== 'checkout').length
  t.ok(ownNames > 1000 && ownNames <= 2500, `${ownNames} have a name of their own`)
  t.equal(lines.length, 1, 'it is told of once')
  t.match(lines[0], 'events are not watched')
  streams.forget('1')
  streams.note('9999', { eventName: 'checkout', events: 1, counts: {} })
  t.equal(streams.volume(24, '1').length, 0)
  t.equal(streams.volume(24, '9999').length, 1)
  streams.close()
  t.equal(clock.pendingTimers(), 0)
})

t.test('a stream that is silent for eight days is forgotten, and makes room', async (t) => {
  const { clock, streams } = setUp()
  streams.note('1', { eventName: 'checkout', events: 1, counts: {} })
  await clock.advance(7 * DAY_QUARTERS * QUARTER_MS)
  t.equal(streams.volume().length, 1)
  await clock.advance(2 * DAY_QUARTERS * QUARTER_MS)
  t.equal(streams.volume().length, 0)
})
