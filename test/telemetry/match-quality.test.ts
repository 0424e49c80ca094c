import t from 'tap'
import { prepareEvent, type PrepareContext } from '../../src/events/prepare.ts'
import { WARNINGS } from '../../src/events/reasons.ts'
import { advise } from '../../src/telemetry/advice.ts'
import { createMatchQuality, type MatchQualityRow } from '../../src/telemetry/match-quality.ts'
import { OTHER } from '../../src/telemetry/streams.ts'
import { COUNTED, tallyEvents } from '../../src/telemetry/tally.ts'

const NOW_MS = Date.UTC(2026, 0, 15, 12)
const HOUR_MS = 3_600_000
const CONTEXT: PrepareContext = {
  nowMs: NOW_MS,
  accountCountry: 'US',
  dobFormat: undefined,
  maxEventAgeMs: 168 * HOUR_MS,
  isTest: false,
  bots: 'send',
  hasTrail: true,
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
  let nowMs = NOW_MS
  return {
    quality: createMatchQuality(() => nowMs),
    advance: (hours: number) => void (nowMs += hours * HOUR_MS),
  }
}

t.test('shares are those of what Pinterest gets, not of what was tried', async (t) => {
  const { quality } = setUp()
  quality.note('1', prepared({ em: 'a@example.com', ph: 'n/a', ...BROWSER }))
  quality.note(
    '1',
    prepared({ em: ['b@example.com'], ph: '+1 415 555 2671', external_id: 7, click_id: 'dj0y' }),
  )
  quality.note('1', prepared({ ...BROWSER }, { event_time: NOW_MS / 1000 - 7200 }))
  quality.note('1', prepared({ em: 'c@example.com', client_ip_address: '203.0.113.7' }))
  quality.note('1', prepared({}))
  const [row] = quality.rows(1)
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
  const { quality } = setUp()
  const bot = { em: 'a@example.com', ...BROWSER, client_user_agent: 'curl/8.5.0' }
  quality.note('1', prepared(bot, {}, 'filter'))
  quality.note('1', prepared({ ph: '+1 415 555 2671' }, {}, 'filter'))
  quality.note('1', prepared({}, {}, 'filter'))
  quality.note('1', prepared({ em: 'a@example.com' }, {}, 'filter'))
  const [row] = quality.rows(1)
  t.match(row, {
    events: 4,
    shares: { em: 1, ip_and_user_agent: 0, filtered: 0.25, invalid: 0.5 },
    warnings: [{ code: 'bot_user_agent', count: 1 }],
  })
})

t.test('hours pass, accounts and names are separate, and an account that is gone is forgotten', async (t) => {
  const { quality, advance } = setUp()
  quality.note('1', prepared({ em: 'a@example.com' }))
  advance(1)
  quality.note('1', prepared({ em: 'a@example.com' }, { event_name: 'signup' }))
  quality.note('2', prepared({ em: 'a@example.com' }))
  quality.note('2', prepared({ em: 'a@example.com' }))
  const names = (hours: number, adAccountId?: string) =>
    quality.rows(hours, adAccountId).map((row) => `${row.adAccountId} ${row.eventName} ${row.events}`)
  t.same(names(1), ['2 checkout 2', '1 signup 1'])
  t.same(names(2), ['2 checkout 2', '1 checkout 1', '1 signup 1'])
  t.same(names(2, '1'), ['1 checkout 1', '1 signup 1'])
  advance(23)
  t.same(names(24), ['2 checkout 2', '1 signup 1'])
  quality.forget('2')
  t.same(names(24), ['1 signup 1'])
  advance(24)
  t.same(names(24), [])
})

t.test(
  "names of a storefront's own are told apart up to a bound; nameless events count with the rest",
  async (t) => {
    const { quality } = setUp()
    for (let n = 0; n < 100; n++)
      quality.note('1', prepared({ em: 'a@example.com' }, { event_name: `own_${n}` }))
    quality.note('1', tallyEvents([prepareEvent(null, CONTEXT)])[0]!)
    quality.note('1', tallyEvents([prepareEvent({ event_name: 'own_1' }, CONTEXT)])[0]!)
    quality.note('1', tallyEvents([prepareEvent({ event_name: 'signup' }, CONTEXT)])[0]!)
    const rows = quality.rows(1)
    t.equal(rows.length, 51)
    t.match(rows[0], { eventName: OTHER, events: 53, shares: { invalid: 3 / 53 } })
    t.match(
      rows.find(({ eventName }) => eventName === 'own_1'),
      { events: 1, shares: { invalid: 0 } },
      'what is refused counts under a name of its own only where that is one of Pinterest’s',
    )
  },
)

const GOOD: MatchQualityRow = {
  adAccountId: '1',
  eventName: 'checkout',
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
const codesOf = (row: Partial<MatchQualityRow>) => advise({ ...GOOD, ...row }).map(({ code }) => code)

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
  const warnings = [
    { code: 'late_event', count: 400 },
    { code: 'unreadable', count: 60 },
    { code: 'unknown_field', count: 49 },
  ] as const
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

t.test('streams are bounded, and those that were silent for a day make room', async (t) => {
  const { quality, advance } = setUp()
  const event = prepared({ em: 'a@example.com' })
  for (let account = 0; account < 6000; account++) quality.note(String(account), event)
  t.equal(quality.rows(24).length, 5000)
  advance(25)
  quality.note('7000', event)
  t.equal(quality.rows(1, '7000').length, 1)
  t.equal(quality.rows(24).length, 1)
})

t.test('an hour of yesterday does not count again today', async (t) => {
  const { quality, advance } = setUp()
  const warned = prepared({ em: 'a@example.com', ph: 'n/a' })
  quality.note('1', warned)
  quality.note('1', warned)
  advance(24)
  quality.note('1', prepared({ em: 'a@example.com' }))
  t.match(quality.rows(24), [{ events: 1, warnings: { length: 0 }, shares: { warned: 0, em: 1 } }])
})

t.test('streams are searched for idle ones once an hour, and not at each post', async (t) => {
  let [nowMs, readings] = [NOW_MS, 0]
  const quality = createMatchQuality(() => {
    readings += 1
    return nowMs
  })
  const note = (adAccountId: string) => {
    readings = 0
    quality.note(adAccountId, prepared({}))
    return readings
  }
  for (let account = 1; account <= 100; account++) note(String(account))
  t.ok(note('1') < 100)
  nowMs += HOUR_MS
  t.ok(note('1') >= 100, 'each stream is asked for its age')
  t.ok(note('1') < 100)
})
