/** `source …`: shops whose webhooks the relay takes. The secret comes from standard input, as a token does. */
import type { SourceAnswer, SourcesAnswer } from '../admin/sources.ts'
import { fieldsOf, listing, parseJson, pathOf, readSecret, removal, textOf, type Command } from './command.ts'
import { readTextFile } from './events-file.ts'
import { explainBody } from './explain.ts'
import { renderTable } from './table.ts'

const set: Command = {
  name: 'source set',
  words:
    'ID [--kind shopify|woocommerce|custom] [--account ID] [--keep-secret] [--drop-previous-secret] [--label TEXT] [--settings FILE] [--expression FILE]',
  does: 'registers a source, or rotates its secret, which is read from standard input (the one before it stays valid until it is dropped); with --keep-secret only the rest is set. --settings is JSON as PUT /sources/{id} takes it, --expression JSONata',
  async run(invocation) {
    const { options, admin, terminal } = invocation
    const settings = textOf(options['settings'])
    const expression = textOf(options['expression'])
    const answer = await admin.send<SourceAnswer>('PUT', pathOf('source', invocation), {
      ...(settings !== undefined &&
        (parseJson(await readTextFile(terminal, settings), '--settings takes a file of JSON.') as object)),
      ...fieldsOf(options, ['settings', 'keep-secret']),
      ...(expression !== undefined && { expression: await readTextFile(terminal, expression) }),
      ...(options['keep-secret'] !== true && {
        secret: await readSecret(terminal, 'secret: ', 'No secret came from standard input.'),
      }),
    })
    const setUp = options['keep-secret'] === true ? [] : renderSetUp(answer)
    const text = [`source ${answer.id} is set`, ...setUp].join('\n')
    const note = answer.problems.map((problem) => `source ${answer.id}: ${problem}`).join('\n')
    return { answer, text, note }
  },
}

const webhooks: Command = {
  name: 'source webhooks',
  words: 'ID',
  does: 'the last webhooks of a source, newest first, and what became of each',
  async run(invocation) {
    const { webhooks: answer } = await invocation.admin.get<SourceAnswer>(pathOf('source', invocation))
    const columns = {
      at: 'at',
      topic: 'topic',
      delivery: 'delivery_id',
      events: 'events',
      outcome: 'outcome',
      reason: 'reason',
    } as const
    return { answer, text: renderTable(columns, answer, 'no webhook came since the relay started') }
  },
}

/** What to enter in the shop. */
export function renderSetUp({ id, path, set_up: setUp }: SourceAnswer): string[] {
  return [
    `Address: https://YOUR-RELAY${path} (YOUR-RELAY: the name that leads to the relay, with TLS)`,
    setUp,
    `relay source webhooks ${id} shows the webhooks that came, and what became of each.`,
  ]
}

const tryFile: Command = {
  name: 'source try',
  words: 'FILE --source ID [--topic TOPIC] [--headers JSON]',
  does: 'shows what would become of a webhook whose body is in FILE (- is standard input); sends nothing. --topic is what the shop calls it, such as orders/create or order.created',
  async run({ positionals: [file = ''], options, admin, terminal }) {
    // As a test, since a file may be of any age.
    return explainBody(admin, { ...fieldsOf(options), test: true }, await readTextFile(terminal, file))
  },
}

export const sourceCommands: readonly Command[] = [
  set,
  listing<SourcesAnswer['sources'][number]>(
    'source',
    'all sources, and what became of the last webhook of each',
    {
      source: 'id',
      kind: 'kind',
      account: 'ad_account_id',
      label: 'label',
      path: 'path',
      'last webhook': ({ webhooks: [last] }) => last?.at,
      topic: ({ webhooks: [last] }) => last?.topic,
      outcome: ({ webhooks: [last] }) => last?.outcome,
      reason: ({ webhooks: [last] }) => last?.reason,
      problem: ({ problems }) => problems.join('; ') || null,
    },
  ),
  webhooks,
  removal('source', 'ID', 'forgets the source and its secret; its webhooks get 404'),
  tryFile,
]
