/** `quality`: by what Pinterest can match the events of the last day with people, and what to mend first. */
import { show, textOf, type Command } from './command.ts'
import { renderTable } from './table.ts'
import { EXIT } from './terminal.ts'

interface ShownRow {
  readonly ad_account_id: string
  readonly event_name: string
  readonly events: number
  readonly shares: Readonly<Record<string, number>>
  readonly advice: readonly { readonly message: string }[]
}

const SHARES = ['em', 'ph', 'external_id', 'click_id', 'ip_and_user_agent', 'late', 'warned', 'invalid']

export const quality: Command = {
  name: 'quality',
  words: '[--account ID] [--hours N]',
  does: 'shares of events with each identifier, per event name, over the last 24 hours or since the start, and what to mend first',
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
    const answer = await admin.get(`/match-quality?${query.toString()}`)
    const rows = answer['rows'] as readonly ShownRow[]
    show(invocation, answer, () => (rows.length === 0 ? 'no live events yet' : render(rows)))
    return EXIT.done
  },
}

function render(rows: readonly ShownRow[]): string {
  const table = renderTable(
    ['account', 'event', 'events', ...SHARES.map((name) => name.replaceAll('_', ' '))],
    rows.map(({ ad_account_id, event_name, events, shares }) => [
      ad_account_id,
      event_name,
      events,
      ...SHARES.map((name) => `${Math.round(100 * (shares[name] ?? 0))} %`),
    ]),
  )
  const advice = rows.flatMap(({ ad_account_id, event_name, advice: own }) =>
    own.map(({ message }) => `${ad_account_id} ${event_name}: ${message}`),
  )
  return [table, ...(advice.length === 0 ? [] : ['', ...advice])].join('\n')
}
