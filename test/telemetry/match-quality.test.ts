import t from 'tap'
import { prepareEvent, type PrepareContext } from '../../src/events/prepare.ts'
import { WARNINGS } from '../../src/events/reasons.ts'
import { advise } from '../../src/telemetry/advice.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createStreams, OTHER } from '../../src/telemetry/streams.ts'
import { COUNTED, tallyEvents, type MatchQuality } from '../../src/telemetry/tally.ts'
import { createManualClock } from '../support/clock.ts'

const NOW_MS = Date.UTC(2026, 0, 15, 12)
const HOUR_MS = 3_600_000
const CONTEXT: PrepareContext = {
  nowMs: NOW_MS,
  accountCountry: 'US',
  dobFormat: undefined,
  maxEventAgeMs: 168 * HOUR_MS,
  isTest: false,
  bots: 'send',
}
const BROWSER = { client_ip_address: '203.0.113.7', client_user_agent: 'Mozilla/5.0 (X11; Linux x86_64)' }

function prepared(userData: object, more: object = {}, bots: PrepareContext['bots'] = 'send') {
  const event = {
    event_name: 'checkout',
    action_source: 'web',
    event_time: NOW_MS / 1000 - 60,
    event_id: '1',
  }
  return tallyEvents([prepareEvent({ ...event, user_data: userData, ...more }, { ...CONTEXT, bots })])[0]!
}

function setUp() {
  const clock = createManualClock()
  const log = createLog({ level: 'silent', destination: { write: () => undefined } })
  return {
    streams: createStreams({ clock, log }),
    clock,
    advance: (hours: number) => clock.advance(hours * HOUR_MS),
  }
}

t.test('shares are those of what Pinterest gets, not of what was tried', async (t) => {
  const { streams } = setUp()
  streams.note('1', prepared({ em: 'a@example.com', ph: 'n/a', ...BROWSER }))
  streams.note(
    '1',
    prepared({ em: ['b@example.com'], ph: '+1 415 555 2671', external_id: 7, click_id: 'dj0y' }),
  )
  streams.note('1', prepared({ ...BROWSER }, { event_time: NOW_MS / 1000 - 7200 }))
  streams.note('1', prepared({ em: 'c@example.com', client_ip_address: '203.0.113.7' }))
  streams.note('1', prepared({}))
  const [row] = streams.quality(1)
  t.match(row, {
    adAccountId: '1',
    eventName: 'checkout',
    events: 5,
    shares: {
      em: 0.75,
      ph: 0.25,
      external_id: 0.25,
      click_id: 0.25,
      ip_and_user_agent: 0.5,
      late: 0.25,
      warned: 0.5,
      invalid: 0.2,
    },
    invalidReasons: [{ reason: 'no_identifier', count: 1 }],
  })
  t.same(
    new Map(row!.warnings.map(({ code, count }) => [code, count])),
    new Map([
      ['placeholder', 1],
      ['late_event', 1],
    ]),
  )
})

t.test("an event name that looks like a customer's is counted without it", async (t) => {
  t.equal(prepared({ em: 'a@example.com' }, { event_name: 'lead of jane@example.com' }).eventName, undefined)
  t.equal(prepared({ em: 'a@example.com' }, { event_name: 'first order' }).eventName, 'first order')
})

t.test('a word that is counted is no code of a warning', async (t) => {
  for (const word of COUNTED) t.notOk(Object.hasOwn(WARNINGS, word), word)
})

t.test('filtered events are a share of all, and of nothing else', async (t) => {
  const { streams } = setUp()
  const bot = { em: 'a@example.com', ...BROWSER, client_user_agent: 'curl/8.5.0' }
  streams.note('1', prepared(bot, {}, 'filter'))
  streams.note('1', prepared({ ph: '+1 415 555 2671' }, {}, 'filter'))
  streams.note('1', prepared({}, {}, 'filter'))
  streams.note('1', prepared({ em: 'a@example.com' }, {}, 'filter'))
  const [row] = streams.quality(1)
  t.match(row, {
    events: 4,
    shares: { em: 1, ip_and_user_agent: 0, filtered: 0.25, invalid: 0.5 },
    warnings: [{ code: 'bot_user_agent', count: 1 }],
  })
})

t.test('hours pass, accounts and names are separate, and an account that is gone is forgotten', async (t) => {
  const { streams, advance } = setUp()
  streams.note('1', prepared({ em: 'a@example.com' }))
  await advance(1)
  streams.note('1', prepared({ em: 'a@example.com' }, { event_name: 'signup' }))
  streams.note('2', prepared({ em: 'a@example.com' }))
  streams.note('2', prepared({ em: 'a@example.com' }))
  const names = (hours: number, adAccountId?: string) =>
    streams.quality(hours, adAccountId).map((row) => `${row.adAccountId} ${row.eventName} ${row.events}`)
  t.same(names(1), ['2 checkout 2', '1 signup 1'])
  t.same(names(2), ['2 checkout 2', '1 checkout 1', '1 signup 1'])
  t.same(names(2, '1'), ['1 checkout 1', '1 signup 1'])
  await advance(23)
  t.same(names(24), ['2 checkout 2', '1 signup 1'])
  streams.forget('2')
  t.same(names(24), ['1 signup 1'])
  await advance(24)
  t.same(names(24), [])
})

t.test(
  "names of a storefront's own are told apart up to a bound; nameless events count with the rest",
  async (t) => {
    const { streams } = setUp()
    for (let n = 0; n < 100; n++)
      streams.note('1', prepared({ em: 'a@example.com' }, { event_name: `own_${n}` }))
    streams.note('1', tallyEvents([prepareEvent(null, CONTEXT)])[0]!)
    streams.note('1', tallyEvents([prepareEvent({ event_name: 'own_1' }, CONTEXT)])[0]!)
    streams.note('1', tallyEvents([prepareEvent({ event_name: 'signup' }, CONTEXT)])[0]!)
    const rows = streams.quality(1)
    t.equal(rows.length, 51)
    t.match(rows[0], { eventName: OTHER, events: 53, shares: { invalid: 3 / 53 } })
    t.match(
      rows.find(({ eventName }) => eventName === 'own_1'),
      { events: 1, shares: { invalid: 0 } },
      'what is refused counts under a name of its own only where that is one of Pinterest’s',
    )
  },
)

const GOOD: MatchQuality = {
  events: 1000,
  shares: {
    em: 1,
    ph: 1,
    external_id: 1,
    click_id: 0.1,
    ip_and_user_agent: 1,
    late: 0,
    warned: 0,
    filtered: 0,
    invalid: 0,
  },
  warnings: [],
  invalidReasons: [],
}
const codesOf = (row: Partial<MatchQuality>) => advise({ ...GOOD, ...row }).map(({ code }) => code)

t.test('what costs most comes first, and what is good is left out', async (t) => {
  t.same(codesOf({}), [])
  const bad = {
    em: 0.2,
    ph: 0,
    external_id: 0.1,
    click_id: 0,
    ip_and_user_agent: 0.5,
    late: 0.4,
    warned: 1,
    filtered: 0.1,
    invalid: 0.3,
  }
  const warnings: MatchQuality['warnings'] = [
    { code: 'late_event', count: 400 },
    { code: 'unreadable', count: 60 },
    { code: 'unknown_field', count: 49 },
  ]
  t.same(codesOf({ shares: bad, warnings, invalidReasons: [{ reason: 'missing_field', count: 300 }] }), [
    'fix_invalid:missing_field',
    'check_user_agent',
    'send_earlier',
    'send_em',
    'send_ip_and_user_agent',
    'send_external_id',
    'send_ph',
    'send_click_id',
    'fix_warning:unreadable',
  ])
  t.same(
    codesOf({ events: 19, shares: bad, invalidReasons: [{ reason: 'missing_field', count: 6 }] }),
    [],
    'too few to tell',
  )
  t.same(
    codesOf({
      shares: { ...bad, filtered: 0, invalid: 1 },
      invalidReasons: [{ reason: 'no_identifier', count: 1000 }],
    }),
    ['fix_invalid:no_identifier'],
    'of what is never sent nothing else can be said',
  )
  const [first] = advise({ ...GOOD, shares: { ...GOOD.shares, em: 0.004 } })
  t.equal(first?.message, 'Only <1 % have the e-mail address, the strongest identifier there is.')
})

t.test('an hour of yesterday does not count again today', async (t) => {
  const { streams, advance } = setUp()
  const warned = prepared({ em: 'a@example.com', ph: 'n/a' })
  streams.note('1', warned)
  streams.note('1', warned)
  await advance(24)
  streams.note('1', prepared({ em: 'a@example.com' }))
  t.match(streams.quality(24), [{ events: 1, warnings: { length: 0 }, shares: { warned: 0, em: 1 } }])
})

t.test('events and their shares are of the same hours', async (t) => {
  const { streams, advance } = setUp()
  const seen = (hours: number) => streams.quality(hours).map(({ events, shares }) => [events, shares.em])
  streams.note('1', prepared({ em: 'a@example.com' }))
  await advance(0.75)
  streams.note('1', prepared({ ...BROWSER }))
  t.same(seen(1), [[2, 0.5]])
  await advance(0.25)
  t.same(seen(1), [])
  streams.note('1', prepared({ ...BROWSER }))
  t.same(seen(1), [[1, 0]])
  t.same(seen(2), [[3, 1 / 3]])
})

t.test('a clock that is set a year ahead, and back, changes no hour', async (t) => {
  const { streams, clock, advance } = setUp()
  clock.setWall(clock.wallMs() + 365 * 24 * HOUR_MS)
  streams.note('1', prepared({}))
  clock.setWall(clock.wallMs() - 365 * 24 * HOUR_MS)
  streams.note('1', prepared({}))
  t.match(streams.quality(1), [{ events: 2 }])
  await advance(1)
  t.same(streams.quality(1), [])
  t.match(streams.quality(2), [{ events: 2 }])
})
