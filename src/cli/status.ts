/** `status`: one screen for the night. Is everything all right, and if not, what is it? */
import { renderAccounts } from './account.ts'
import type { Answer } from './admin-client.ts'
import { show, type Command } from './command.ts'
import { renderSeconds, renderTable } from './table.ts'
import { EXIT } from './terminal.ts'
import { isMarked, renderVolume, type ShownVolume } from './volume.ts'

interface LaneOwner {
  readonly ad_account_id: string
  readonly lanes: readonly {
    readonly test: boolean
    readonly status: string
    readonly next_try_in_seconds: number | null
  }[]
}

/** What mends a lane that does not call; the others go on by themselves. */
const REMEDIES: Readonly<Record<string, string>> = {
  paused: 'account resume',
  reauthorize: 'open /accounts/{id}/authorize of the admin port in a browser, and consent',
  unauthorized: 'account verify tells why; account set takes a new token',
  forbidden: 'the token may not send for this account: account set takes another',
  wrong_address: 'PINTEREST_API_URL of the relay is wrong',
}

export const status: Command = {
  name: 'status',
  words: '',
  does: 'accounts, lanes that do not call and what mends them, unusual volume, and the books; exit code 3 when something needs a person',
  positionals: 0,
  async run(invocation) {
    const { admin } = invocation
    const [accounts, books, { volume }] = await Promise.all([
      admin.get('/accounts'),
      admin.get('/books'),
      admin.get('/volume'),
    ])
    const marked = (volume as readonly ShownVolume[]).filter(isMarked)
    const owners = accounts['accounts'] as readonly LaneOwner[]
    const troubled = owners.flatMap(({ ad_account_id, lanes }) =>
      lanes.filter(({ status }) => status !== 'open').map((lane) => ({ ad_account_id, ...lane })),
    )
    const needsPerson = troubled.some(({ status }) => status in REMEDIES)
    show(invocation, { ...accounts, books, unusual_volume: marked, needs_person: needsPerson }, () =>
      [
        renderAccounts(accounts['accounts'] as Parameters<typeof renderAccounts>[0]),
        renderTroubles(troubled),
        ...(marked.length === 0 ? [] : [`unusual volume:\n${renderVolume(marked)}`]),
        renderBooks(books),
      ].join('\n\n'),
    )
    return needsPerson ? EXIT.partly : EXIT.done
  },
}

function renderTroubles(
  lanes: readonly (LaneOwner['lanes'][number] & { readonly ad_account_id: string })[],
): string {
  if (lanes.length === 0) return 'every lane calls'
  return renderTable(
    ['account', 'lane', 'status', 'tries again in', 'what mends it'],
    lanes.map(({ ad_account_id, test, status, next_try_in_seconds: seconds }) => [
      ad_account_id,
      test ? 'test' : 'live',
      status,
      renderSeconds(seconds),
      REMEDIES[status] ?? 'time',
    ]),
  )
}

function renderBooks(books: Answer): string {
  const names = ['received', 'delivered', 'rejected', 'expired', 'queued', 'duplicate', 'refused']
  return renderTable(names, [names.map((name) => books[name] as number)])
}
