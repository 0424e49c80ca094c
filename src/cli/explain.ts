/** `explain FILE`: what would be sent for these events, and why not. */
import type { ExplainAnswer } from '../admin/explain.ts'
import { firstOf, show, textOf, type Command } from './command.ts'
import { EVENTS_FILE, readEventsFile } from './events-file.ts'
import { renderTable } from './table.ts'
import { EXIT, misused } from './terminal.ts'

export const explain: Command = {
  name: 'explain',
  words: 'FILE --account ID [--test]',
  does: `shows how each value would be normalized (masked) and hashed, what is dropped and why; sends nothing. ${EVENTS_FILE}`,
  positionals: 1,
  options: { account: { type: 'string' }, test: { type: 'boolean' } },
  async run(invocation) {
    const { options, admin, terminal } = invocation
    const adAccountId = textOf(options['account'])
    if (adAccountId === undefined) throw misused('explain needs --account ID.')
    const data = await readEventsFile(terminal, firstOf(invocation))
    const query = new URLSearchParams({ ad_account_id: adAccountId, test: String(options['test'] === true) })
    const answer = await admin.send<ExplainAnswer>('POST', `/explain?${query.toString()}`, { data })
    const { events } = answer
    show(invocation, answer, () => events.map(renderEvent).join('\n\n'))
    return events.every(({ status }) => status === 'prepared') ? EXIT.done : EXIT.partly
  },
}

export function renderEvent(event: ExplainAnswer['events'][number], index: number): string {
  const lines = [
    event.status === 'prepared'
      ? `event ${index}: ${event.event_name} ${event.event_id}`
      : `event ${index}: ${event.status}, ${event.reason}: ${event.message}`,
  ]
  if (event.fields.length > 0) {
    lines.push(
      renderTable(
        ['field', 'given', 'normalized', 'sha-256', 'note'],
        event.fields.map(({ path, given, normalized, hash, note }) => [
          path.replace('user_data.', ''),
          given,
          normalized,
          hash === null ? null : `${hash.slice(0, 12)}…`,
          note,
        ]),
      ),
    )
  }
  for (const { path, code, message } of event.warnings) lines.push(`warning ${path}: ${code}. ${message}`)
  if (event.json !== null) lines.push(event.json)
  return lines.join('\n')
}
