/** `source …`: shops whose webhooks the relay takes. The secret comes from standard input, as a token does. */
import type { ExplainAnswer } from '../admin/explain.ts'
import type { SourceAnswer, SourcesAnswer } from '../admin/sources.ts'
import { firstOf, show, textOf, type Command, type Invocation } from './command.ts'
import { readTextFile } from './events-file.ts'
import { renderEvent } from './explain.ts'
import { renderTable } from './table.ts'
import { EXIT, misused } from './terminal.ts'

const set: Command = {
  name: 'source set',
  words:
    'ID [--kind shopify|woocommerce|custom] [--account ID] [--keep-secret] [--drop-previous-secret] [--label TEXT] [--settings FILE] [--expression FILE]',
  does: 'registers a source, or rotates its secret, which is read from standard input (the one before it stays valid until it is dropped); with --keep-secret only the rest is set. --settings is JSON as PUT /sources/{id} takes it, --expression JSONata',
  options: {
    kind: { type: 'string' },
    account: { type: 'string' },
    'keep-secret': { type: 'boolean' },
    'drop-previous-secret': { type: 'boolean' },
    label: { type: 'string' },
    settings: { type: 'string' },
    expression: { type: 'string' },
  },
  positionals: 1,
  async run(invocation) {
    const { options, admin, terminal } = invocation
    const expression = textOf(options['expression'])
    const body = {
      ...(await readSettings(invocation)),
      ...(options['kind'] !== undefined && { kind: options['kind'] }),
      ...(options['account'] !== undefined && { ad_account_id: options['account'] }),
      ...(options['label'] !== undefined && { label: options['label'] }),
      ...(options['drop-previous-secret'] === true && { drop_previous_secret: true }),
      ...(expression !== undefined && { expression: await readTextFile(terminal, expression) }),
      ...(options['keep-secret'] !== true && { secret: await readSecret(invocation) }),
    }
    const source = await admin.send<SourceAnswer>('PUT', pathOf(invocation), body)
    show(
      invocation,
      source,
      () => `source ${source.id} is set: give the shop the address https://YOUR-RELAY${source.path}`,
    )
    return EXIT.done
  },
}

async function readSecret({ terminal }: Invocation): Promise<string> {
  const secret = (await terminal.readSecret('secret: ')).trim()
  if (secret === '') throw misused('No secret came from standard input.')
  return secret
}

async function readSettings({ options, terminal }: Invocation): Promise<object> {
  const file = textOf(options['settings'])
  if (file === undefined) return {}
  try {
    return JSON.parse(await readTextFile(terminal, file)) as object
  } catch (error) {
    throw error instanceof SyntaxError ? misused('--settings takes a file of JSON.') : error
  }
}

const list: Command = {
  name: 'source list',
  words: '',
  does: 'all sources, and what became of the last webhook of each',
  positionals: 0,
  async run(invocation) {
    const answer = await invocation.admin.get<SourcesAnswer>('/sources')
    const { sources } = answer
    show(invocation, answer, () =>
      sources.length === 0
        ? 'no sources'
        : renderTable(
            ['source', 'kind', 'account', 'label', 'path', 'last webhook', 'topic', 'outcome', 'reason'],
            sources.map(({ id, kind, ad_account_id, label, path, webhooks: [last] }) => [
              id,
              kind,
              ad_account_id,
              label,
              path,
              last?.at ?? null,
              last?.topic ?? null,
              last?.outcome ?? null,
              last?.reason ?? null,
            ]),
          ),
    )
    return EXIT.done
  },
}

const remove: Command = {
  name: 'source rm',
  words: 'ID',
  does: 'forgets the source and its secret; its webhooks get 404',
  positionals: 1,
  async run(invocation) {
    await invocation.admin.send('DELETE', pathOf(invocation))
    show(invocation, {}, () => `source ${firstOf(invocation)} is removed`)
    return EXIT.done
  },
}

const tryFile: Command = {
  name: 'source try',
  words: 'FILE --source ID [--topic TOPIC] [--headers JSON]',
  does: 'shows what would become of a webhook whose body is in FILE (- is standard input); sends nothing. --topic is what the shop calls it, such as orders/create or order.created',
  options: { source: { type: 'string' }, topic: { type: 'string' }, headers: { type: 'string' } },
  positionals: 1,
  async run(invocation) {
    const { options, admin, terminal } = invocation
    const source = textOf(options['source'])
    if (source === undefined) throw misused('source try needs --source ID.')
    // As a test, since a file may be of any age.
    const query = new URLSearchParams({ source, test: 'true' })
    for (const name of ['topic', 'headers']) {
      const value = textOf(options[name])
      if (value !== undefined) query.set(name, value)
    }
    const body = await readTextFile(terminal, firstOf(invocation))
    const answer = await admin.sendText<ExplainAnswer>('POST', `/explain?${query.toString()}`, body)
    const { events } = answer
    show(invocation, answer, () => events.map(renderEvent).join('\n\n'))
    return events.every(({ status }) => status === 'prepared') ? EXIT.done : EXIT.partly
  },
}

function pathOf(invocation: Invocation): string {
  return `/sources/${encodeURIComponent(firstOf(invocation))}`
}

export const sourceCommands: readonly Command[] = [set, list, remove, tryFile]
