/** `explain FILE`: what would be sent for these events, and why not. */
import type { ExplainAnswer } from '../admin/explain.ts'
import type { AdminClient } from './admin-client.ts'
import { fieldsOf, queryOf, type Command, type Fields, type Result } from './command.ts'
import { EVENTS_FILE, readEventsFile } from './events-file.ts'
import { renderTable } from './table.ts'

export const explain: Command = {
  name: 'explain',
  words: 'FILE --account ID [--test]',
  does: `shows how each value would be normalized (masked) and hashed, what is dropped and why; sends nothing. ${EVENTS_FILE}`,
  async run({ positionals: [file = ''], options, admin, terminal }) {
    return explainBody(admin, fieldsOf(options), { data: await readEventsFile(terminal, file) })
  },
}

/** `body`: events, or a webhook's body as it is. */
export async function explainBody(
  admin: AdminClient,
  fields: Fields,
  body: object | string,
): Promise<Result> {
  const answer = await admin.send<ExplainAnswer>('POST', `/explain${queryOf(fields)}`, body)
  const { events } = answer
  const isPartial = !events.every(({ status }) => status === 'prepared')
  return { answer, text: events.map(renderEvent).join('\n\n'), isPartial }
}

function renderEvent(event: ExplainAnswer['events'][number], index: number): string {
  const fields = renderTable(
    {
      field: ({ path }) => path.replace('user_data.', ''),
      given: 'given',
      normalized: 'normalized',
      'sha-256': ({ hash }) => hash && `${hash.slice(0, 12)}…`,
      note: 'note',
    },
    event.fields,
    '',
  )
  const name = [event.event_name, event.event_id].filter(Boolean).join(' ')
  const why = event.status === 'prepared' ? '' : `${event.status}, ${event.reason}: ${event.message}`
  return [
    [`event ${index}`, name, why].filter((part) => part !== '').join(': '),
    ...(fields === '' ? [] : [fields]),
    ...event.warnings.map(({ path, code, message }) => `warning ${path}: ${code}. ${message}`),
    ...(event.json === null ? [] : [event.json]),
  ].join('\n')
}
