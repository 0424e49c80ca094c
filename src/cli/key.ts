/** `key …`: relay keys, which storefronts use as their access token. */
import type { KeysAnswer, MadeKeyAnswer } from '../admin/keys.ts'
import { firstOf, show, textOf, type Command } from './command.ts'
import { renderTable } from './table.ts'
import { EXIT } from './terminal.ts'

const create: Command = {
  name: 'key create',
  words: 'AD_ACCOUNT_ID[,…] [--label TEXT]',
  does: 'makes a key for these accounts and prints it, this once',
  positionals: 1,
  options: { label: { type: 'string' } },
  async run(invocation) {
    const adAccountIds = firstOf(invocation).split(',')
    const label = textOf(invocation.options['label']) ?? `made ${new Date().toISOString().slice(0, 10)}`
    const made = await invocation.admin.send<MadeKeyAnswer>('POST', '/keys', {
      label,
      ad_account_ids: adAccountIds,
    })
    // Alone on standard output, so that it can be put into a variable.
    show(invocation, made, () => made.key)
    return EXIT.done
  },
}

const list: Command = {
  name: 'key list',
  words: '',
  does: 'all keys and their accounts, never the keys themselves',
  positionals: 0,
  async run(invocation) {
    const answer = await invocation.admin.get<KeysAnswer>('/keys')
    const { keys } = answer
    show(invocation, answer, () =>
      keys.length === 0
        ? 'no keys'
        : renderTable(
            ['key id', 'begins with', 'label', 'accounts', 'made', 'last used'],
            keys.map((key) => [
              key.id,
              key.prefix,
              key.label,
              key.ad_account_ids.join(' '),
              key.created_at,
              key.last_used_at,
            ]),
          ),
    )
    return EXIT.done
  },
}

const remove: Command = {
  name: 'key rm',
  words: 'KEY_ID',
  does: 'the key is refused from now on',
  positionals: 1,
  async run(invocation) {
    await invocation.admin.send('DELETE', `/keys/${encodeURIComponent(firstOf(invocation))}`)
    show(invocation, {}, () => `key ${firstOf(invocation)} is removed`)
    return EXIT.done
  },
}

export const keyCommands: readonly Command[] = [create, list, remove]
