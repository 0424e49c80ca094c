/** `quality`: by what Pinterest can match the events of the last day with people, and what to improve first. */
import type { MatchQualityAnswer } from '../admin/match-quality.ts'
import { show, textOf, type Command } from './command.ts'
import { renderTable } from './table.ts'
import { EXIT } from './terminal.ts'

export const quality: Command = {
  name: 'quality',
  words: '[--account ID] [--hours N]',
  does: 'shares of events with each identifier, per event name, over the last 24 hours or since the start, and what to improve first',
  positionals: 0,
  options: { account: { type: 'string' }, hours: { type: 'string' } },
  async run(invocation) {
    const { options, admin } = invocation
    const query = new URLSearchParams()
    for (const [option, name] of [
      ['account', 'ad_account_id'],
      ['hours', 'hours'],
    ] as const) {
      const text = textOf(options[option])
      if (text !== undefined) query.set(name, text)
    }
    const answer = await admin.get<MatchQualityAnswer>(`/match-quality?${query.toString()}`)
    show(invocation, answer, () => (answer.rows.length === 0 ? 'no live events yet' : render(answer)))
    return EXIT.done
  },
}

function render({ columns, rows }: MatchQualityAnswer): string {
  const table = renderTable(
    ['account', 'event', 'events', ...columns.map(({ label }) => label)],
    rows.map(({ ad_account_id, event_name, events, shares }) => [
      ad_account_id,
      event_name,
      events,
      ...columns.map(({ name }) => `${Math.round(100 * shares[name])} %`),
    ]),
  )
  const advice = rows.flatMap(({ ad_account_id, event_name, advice: own }) =>
    own.map(({ message }) => `${ad_account_id} ${event_name}: ${message}`),
  )
  return [table, ...(advice.length === 0 ? [] : ['', ...advice])].join('\n')
}
