/** `audit`: what operators changed. */
import type { AuditAnswer } from '../admin/audit.ts'
import { readPages, type Command } from './command.ts'
import { renderTable } from './table.ts'

export const audit: Command = {
  name: 'audit',
  words: '[--id ID] [--limit N]',
  does: 'what was changed through the admin port, newest first; --id: what was erased, replayed or purged by this event or order id',
  async run(invocation) {
    const { found, answer, note } = await readPages<AuditAnswer, 'entries'>(invocation, '/audit', 'entries')
    const text = renderTable(
      {
        at: 'at',
        action: 'action',
        details: ({ details }) =>
          Object.entries(details)
            .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
            .join(', '),
      },
      found,
      'no entry',
    )
    return { answer, text, note }
  },
}
