/** `key …`: relay keys, which storefronts use as their access token. */
import type { KeysAnswer, MadeKeyAnswer } from '../admin/keys.ts'
import { listing, removal, textOf, type Command } from './command.ts'

const create: Command = {
  name: 'key create',
  words: 'AD_ACCOUNT_ID[,…] [--label TEXT]',
  does: 'makes a key for these accounts and prints it, this once',
  async run({ positionals: [ids = ''], options, admin }) {
    const label = textOf(options['label']) ?? `made ${new Date().toISOString().slice(0, 10)}`
    const answer = await admin.send<MadeKeyAnswer>('POST', '/keys', { label, ad_account_ids: ids.split(',') })
    // Alone on standard output, so that it can be put into a variable.
    return { answer, text: answer.key }
  },
}

export const keyCommands: readonly Command[] = [
  create,
  listing<KeysAnswer['keys'][number]>(
    'key',
    'all keys and their accounts, never the keys themselves; of several replicas each knows only the posts that it took itself, since its start',
    {
      'key id': 'id',
      'begins with': 'prefix',
      label: 'label',
      accounts: ({ ad_account_ids: ids }) => ids.join(' '),
      made: 'created_at',
      'last used': ({ last_used_at: at, use_known_since: since }) => at ?? `not since ${since}`,
    },
  ),
  removal('key', 'KEY_ID', 'the key is refused from now on'),
]
