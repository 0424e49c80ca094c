/** `cells`: which cells there are, whether they take posts, and which one has an account. */
import type { AccountAnswer } from '../admin/account-view.ts'
import type { AccountsAnswer } from '../admin/accounts.ts'
import type { LiveAnswer } from '../admin/live.ts'
import type { SourcesAnswer } from '../admin/sources.ts'
import { LIVE, Refused, unlessMissing, type AdminClient } from './admin-client.ts'
import type { Command } from './command.ts'
import { renderTable } from './table.ts'
import { CommandFailed } from './terminal.ts'

export type Cell = Awaited<ReturnType<typeof findCells>>[number]

export const cells: Command = {
  name: 'cells',
  words: '[ID] [--map]',
  does: 'the cells at the addresses of ADMIN_URL, or those that have an account; --map prints the lines of deploy/gateway/placed.conf; exit code 3 when one is away or refuses posts',
  async run({ positionals: [adAccountId], options, admins }) {
    const all = await findCells(admins)
    if (options['map'] === true) {
      const map = await drawMap(all)
      const lines = Array.from(map, ([key, name]) => `${key} ${name};`)
      return { answer: Object.fromEntries(map), text: lines.join('\n') }
    }
    const shown = adAccountId === undefined ? all : await havingAccount(all, adAccountId)
    const isOneAway = all.some(({ live }) => live === undefined)
    if (shown.length === 0)
      throw new CommandFailed(`No cell ${isOneAway ? 'that answers ' : ''}has an account ${adAccountId}.`)
    const rows = shown.map(({ name, admin, live }) => ({
      cell: name,
      address: admin.url,
      accounts: live?.accounts ?? null,
      problem: live === undefined ? 'away' : live.problem,
    }))
    const columns = {
      cell: 'cell',
      'admin port': 'address',
      accounts: 'accounts',
      problem: 'problem',
    } as const
    return {
      answer: { cells: rows },
      text: renderTable(columns, rows),
      note: adAccountId !== undefined && isOneAway && 'a cell does not answer: it may have the account',
      isPartial: all.some(({ live }) => live?.problem !== null),
    }
  },
}

/** `name`: the relay's CELL, or its address. `live`: undefined where it does not answer. */
export function findCells(admins: readonly AdminClient[]) {
  return Promise.all(
    admins.map(async (admin) => {
      const live = await admin.get<LiveAnswer>(LIVE).catch((error: unknown) => {
        // A refusal, such as of a wrong token, is no cell that is away.
        if (error instanceof CommandFailed && !(error instanceof Refused)) return undefined
        throw error
      })
      return { name: live?.cell ?? admin.url, admin, live }
    }),
  )
}

export function findCell(all: readonly Cell[], name: string): Cell {
  const [cell, ...more] = all.filter((one) => one.name === name)
  if (cell === undefined) throw new CommandFailed(`No relay of ADMIN_URL that answers is of cell ${name}.`)
  if (more.length > 0) throw new CommandFailed(`Two addresses of ADMIN_URL are of cell ${name}: one will do.`)
  return cell
}

/** The cells that answer and have the account, each with it. */
export async function havingAccount(all: readonly Cell[], adAccountId: string) {
  const path = `/accounts/${encodeURIComponent(adAccountId)}`
  const found = await Promise.all(
    all.map(async (cell) => {
      const account = cell.live && (await unlessMissing(cell.admin.get<AccountAnswer>(path)))
      return account === undefined ? [] : [{ ...cell, account }]
    }),
  )
  return found.flat()
}

/** What the gateway finds a cell by, and the cell. An account that two cells have is on its way to the one where it is paused. */
async function drawMap(all: readonly Cell[]): Promise<ReadonlyMap<string, string>> {
  const map = new Map<string, string>()
  const isMoving = new Set<string>()
  const place = (key: string, name: string) => {
    if ((map.get(key) ?? name) !== name)
      throw new CommandFailed(`Both ${map.get(key)} and ${name} have ${key}: remove it from one of them.`)
    map.set(key, name)
  }
  const registered = await Promise.all(
    all.map(async ({ name, admin, live }) => {
      if (live === undefined)
        throw new CommandFailed(`${name} does not answer: the map would lack its accounts.`)
      if (live.cell === null) throw new CommandFailed(`The relay at ${name} has no CELL.`)
      const [{ accounts }, { sources }] = await Promise.all([
        admin.get<AccountsAnswer>('/accounts'),
        admin.get<SourcesAnswer>('/sources'),
      ])
      return { name, accounts, sources }
    }),
  )
  const counts = new Map<string, number>()
  for (const { ad_account_id: id } of registered.flatMap(({ accounts }) => accounts))
    counts.set(id, (counts.get(id) ?? 0) + 1)
  for (const { name, accounts, sources } of registered) {
    for (const { ad_account_id: id, paused } of accounts)
      if (counts.get(id) === 1 || paused) place(id, name)
      else isMoving.add(`${name} ${id}`)
    for (const { id, ad_account_id: adAccountId } of sources)
      if (!isMoving.has(`${name} ${adAccountId}`)) place(keyOfSource(id), name)
  }
  return map
}

/** As cells.conf finds the account of a source's path. */
export function keyOfSource(sourceId: string): string {
  return /^(\d+)(-|$)/.exec(sourceId)?.[1] ?? sourceId
}
