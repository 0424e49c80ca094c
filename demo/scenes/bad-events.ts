/** Bad events among good ones: each costs nothing but itself. */
import type { Demo, Scene } from '../demo.ts'
import { sampleEvent } from '../sample.ts'
import { tick } from '../screen.ts'
import type { Cell } from '../columns.ts'
import { arrivalsOf } from '../wire.ts'

type Expected = 'delivered' | 'invalid' | 'rejected'

interface Sample {
  readonly what: string
  readonly event: unknown
  readonly expected: Expected
  /** How the reason must begin. */
  readonly reason?: string
}

export const badEventsScene: Scene = {
  title: 'Bad events among good ones',
  async play({ stage, screen, claims, claim, ledger }: Demo) {
    const { main } = stage.shops
    const samples = makeSamples()
    const countOf = (expected: Expected) => samples.filter((sample) => sample.expected === expected).length
    screen.prose(
      'Pinterest answers 400 to a whole call for one key that it does not know. Here one post carries ' +
        `${samples.length} events: ${countOf('invalid')} that nobody can use, and one that Pinterest itself ` +
        'refuses (the sandbox is set to). The good ones must be delivered, and each bad one must be answered with its ' +
        'reason at its own index.',
    )
    screen.blank()
    stage.sandbox.faults.set([
      { kind: 'failEvents', eventIds: ['demo-strange'], message: 'event too strange' },
    ])
    const { status, entries } = await stage.post(
      main,
      samples.map(({ event }) => event),
    )
    stage.sandbox.faults.clear()

    const rows = samples.map(({ what, event, expected, reason = '' }, index): readonly Cell[] => {
      const entry = entries[index]
      const isBad = expected !== 'delivered'
      const isAnswered =
        entry?.status === (isBad ? 'failed' : 'processed') &&
        entry.error_message.startsWith(reason) &&
        (entry.error_message !== '') === isBad
      const times = arrivalsOf(stage.sandbox, main, idOf(event)).length
      const holds = claims.check(
        `bad events: ${what} is ${expected}`,
        isAnswered && times === (expected === 'invalid' ? 0 : 1),
      )
      return [
        { text: tick(holds), style: holds ? 'green' : 'red' },
        { text: String(index) },
        { text: what },
        { text: entry?.status ?? 'no entry', style: isBad ? 'yellow' : 'green' },
        { text: entry?.error_message || (times === 1 ? 'arrived at Pinterest' : 'did not arrive') },
      ]
    })
    screen.table([['', '#', 'event', 'answer', 'reason'].map((text) => ({ text })), ...rows])
    screen.blank()

    ledger.invalid += countOf('invalid')
    ledger.rejected += countOf('rejected')
    ledger.received += countOf('delivered') + countOf('rejected')
    claim(
      'the post was answered 422, with one entry per event in the order of the post',
      status === 422 && entries.length === samples.length,
    )
  },
}

function makeSamples(): readonly Sample[] {
  const nowS = Math.floor(Date.now() / 1000)
  const broken = (number: number, more: Record<string, unknown>) => sampleEvent(`demo-bad-${number}`, more)
  return [
    { what: 'a good one', event: sampleEvent('demo-good-1'), expected: 'delivered' },
    {
      what: 'no action_source',
      event: broken(1, { action_source: undefined }),
      expected: 'invalid',
      reason: 'action_source: ',
    },
    { what: 'not an event at all', event: 17, expected: 'invalid', reason: 'the event must be' },
    {
      what: 'from tomorrow',
      event: broken(2, { event_time: nowS + 86_400 }),
      expected: 'invalid',
      reason: 'event_time: ',
    },
    { what: 'a good one', event: sampleEvent('demo-good-2'), expected: 'delivered' },
    {
      what: 'nobody to be found by',
      event: broken(3, { user_data: { em: 'not-an-email', ph: 'call me' } }),
      expected: 'invalid',
      reason: 'user_data: ',
    },
    {
      what: 'a price in words',
      event: broken(4, { custom_data: { value: 'twelve', currency: 'USD' } }),
      expected: 'invalid',
      reason: 'custom_data.value: ',
    },
    {
      what: 'Pinterest says no',
      event: sampleEvent('demo-strange'),
      expected: 'rejected',
      reason: 'event too strange',
    },
    {
      what: 'from last month',
      event: broken(5, { event_time: nowS - 31 * 86_400 }),
      expected: 'invalid',
      reason: 'event_time: ',
    },
    { what: 'a good one', event: sampleEvent('demo-good-3'), expected: 'delivered' },
  ]
}

function idOf(event: unknown): string {
  return typeof event === 'object' && event !== null && 'event_id' in event ? String(event.event_id) : ''
}
