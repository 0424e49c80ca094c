import t from 'tap'
import { createLog } from '../../src/telemetry/log.ts'
import { createVolumeWatch } from '../../src/telemetry/volume-watch.ts'
import { createManualClock, type ManualClock } from '../support/clock.ts'

const QUARTER_MS = 15 * 60_000
const DAY_QUARTERS = 96

function setUp() {
  const clock = createManualClock()
  const lines: string[] = []
  const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } })
  return { clock, lines, watch: createVolumeWatch({ clock, log }) }
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
    const { clock, lines, watch } = setUp()
    const visits = () => times(40, () => watch.note('1', { eventName: 'page_visit', events: 1 }))
    const both = () => {
      visits()
      times(20, () => watch.note('1', { eventName: 'checkout', events: 1 }))
    }
    await pass(clock, 4 * DAY_QUARTERS, both)
    t.match(watch.rows(), [
      { eventName: 'page_visit', state: 'normal', observed: 160, expected: 160, windowMinutes: 60 },
      { eventName: 'checkout', state: 'normal', observed: 80, expected: 80 },
    ])
    const stoppedMs = clock.wallMs()
    await pass(clock, 6, visits)
    const [first] = watch.rows(24, '1')
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
    t.equal(watch.rows()[0]?.eventName, 'page_visit')
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
  const { clock, lines, watch } = setUp()
  const own = 'person@example.com bought'
  await pass(clock, 20, () => times(30, () => watch.note('1', { eventName: own, events: 1 })))
  await pass(clock, 4, () => undefined)
  t.match(watch.rows(), [{ eventName: own, state: 'drop' }])
  t.equal(lines.length, 1)
  t.notMatch(lines[0], 'example')
})

t.test(
  'setting the wall clock makes no drop; a loop that was held up for an hour still counts right',
  async (t) => {
    const { clock, watch } = setUp()
    await pass(clock, 4 * DAY_QUARTERS, () =>
      times(20, () => watch.note('1', { eventName: 'checkout', events: 1 })),
    )
    clock.setWall(clock.wallMs() + 5 * 86_400_000)
    await pass(clock, 4, () => times(20, () => watch.note('1', { eventName: 'checkout', events: 1 })))
    t.match(watch.rows(), [{ state: 'normal', observed: 80 }])
  },
)

t.test('names and streams are bounded, and a removed account is forgotten', async (t) => {
  const { clock, lines, watch } = setUp()
  for (let name = 0; name < 60; name++) watch.note('1', { eventName: `name-${name}`, events: 1 })
  watch.note('1', { eventName: undefined, events: 1 })
  t.equal(watch.rows().length, 51)
  t.ok(watch.rows().some(({ eventName }) => eventName === '(other)'))
  for (let account = 2; account < 5100; account++) {
    watch.note(String(account), { eventName: account < 3000 ? 'name of its own' : 'checkout', events: 1 })
    watch.note(String(account), { eventName: 'checkout', events: 1 })
  }
  t.equal(watch.rows().length, 5000)
  const ownNames = watch.rows().filter(({ eventName }) => eventName !== 'checkout').length
  t.ok(ownNames > 1000 && ownNames <= 2500, `${ownNames} have a name of their own`)
  t.equal(lines.length, 1, 'it is told of once')
  t.match(lines[0], 'volume is not watched')
  watch.forget('1')
  watch.note('9999', { eventName: 'checkout', events: 1 })
  t.equal(watch.rows(24, '1').length, 0)
  t.equal(watch.rows(24, '9999').length, 1)
  watch.close()
  t.equal(clock.pendingTimers(), 0)
})

t.test('a stream that is silent for eight days is forgotten, and makes room', async (t) => {
  const { clock, watch } = setUp()
  watch.note('1', { eventName: 'checkout', events: 1 })
  await clock.advance(7 * DAY_QUARTERS * QUARTER_MS)
  t.equal(watch.rows().length, 1)
  await clock.advance(2 * DAY_QUARTERS * QUARTER_MS)
  t.equal(watch.rows().length, 0)
})
