/**
 * `account move`: takes an account to another cell while its shop posts. Drain, switch, call: the new cell takes posts
 * and keeps them until the old one has sent all that it has and has made no call for a minute. So no event is lost, and the two
 * never call within the same minute. It can be ended and begun again at any point.
 */
import type { AccountCopy } from '../admin/accounts.ts'
import type { SourcesAnswer } from '../admin/sources.ts'
import type { TotalsAnswer } from '../admin/insight.ts'
import { findCell, findCells, havingAccount, keyOfSource, type Cell } from './cells.ts'
import type { AdminClient } from './admin-client.ts'
import { pathOf, textOf, type Command } from './command.ts'
import { CommandFailed, type Terminal } from './terminal.ts'

/** Pinterest counts calls over 60; the rest is for the last call's travel. */
const QUIET_SECONDS = 65
/** Replicas poll for changes once a second. */
const REPLICAS_LEARN_MS = 3000

export const move: Command = {
  name: 'account move',
  words: 'ID --to CELL',
  does: 'takes an account with its token, sources and relay keys to another cell of ADMIN_URL, while posts come in; says when to change the gateway. Dead letters, totals and what dedupe knows stay',
  async run(invocation) {
    const { options, terminal, positionals } = invocation
    const id = positionals[0]!
    const path = pathOf('account', invocation)
    const name = textOf(options['to'])!
    const all = await findCells(invocation.admins)
    const to = findCell(all, name)
    const away = all.find(({ live }) => live === undefined)
    if (away !== undefined) throw new CommandFailed(`${away.name} does not answer: it may have the account.`)
    const others = all.filter((cell) => cell !== to)
    const [from, ...more] = await havingAccount(others, id)
    if (more.length > 0) throw new CommandFailed(`${from!.name} and ${more[0]!.name} have the account.`)
    if (from === undefined) {
      // An earlier run ended before its last step.
      for (const other of others) {
        await demandDrained(other, id)
        await untilQuiet(other.admin, id, terminal)
        await removeSources(other.admin, await sourcesOf(other.admin, id))
      }
    } else {
      if (from.account.paused)
        throw new CommandFailed(`The account is paused in ${from.name}: resume it, so that it can drain.`)
      // A copy that a move left is paused.
      const [known] = await havingAccount([to], id)
      if (known?.account.paused === false)
        throw new CommandFailed(`${name} has the account, too, and sends: remove it from one of the two.`)
      const { sources } = await copy(from.admin, to.admin, id)
      const keys = new Set([id, ...sources.map(keyOfSource)])
      terminal.report(`now change placed.conf of every gateway, and reload them:`)
      for (const key of keys) terminal.report(`  ${key} ${name};`)
      await handOver(from.admin, to.admin, id, terminal)
    }
    await to.admin.send('POST', `${path}/resume`)
    return { answer: { ad_account_id: id, cell: name }, text: `account ${id} is in ${name}` }
  },
}

async function copy(from: AdminClient, to: AdminClient, id: string) {
  const sources = await sourcesOf(from, id)
  const copied = await from.get<AccountCopy>(`/accounts/${id}/copy`)
  await to.send('PUT', `/accounts/${id}/copy`, copied)
  return { copied, sources }
}

/** The ids of its sources. */
async function sourcesOf(from: AdminClient, id: string): Promise<readonly string[]> {
  const { sources } = await from.get<SourcesAnswer>('/sources')
  return sources.filter((source) => source.ad_account_id === id).map((source) => source.id)
}

async function removeSources(from: AdminClient, ids: readonly string[]): Promise<void> {
  for (const id of ids) await from.send('DELETE', `/sources/${encodeURIComponent(id)}`)
}

/** Resolves once the old cell has neither the account nor an event of it, and made no call for a minute. */
async function handOver(from: AdminClient, to: AdminClient, id: string, terminal: Terminal): Promise<void> {
  const path = `/accounts/${id}`
  for (;;) {
    const quiet = await untilQuiet(from, id, terminal)
    await from.send('POST', `${path}/pause`)
    // Again: a token may have been refreshed since, or a source or a key added.
    const { copied, sources } = await copy(from, to, id)
    await from.send('DELETE', path)
    await terminal.wait(REPLICAS_LEARN_MS)
    if ((await readTotals(from, id)).text === quiet) return removeSources(from, sources)
    // A post came between: the old cell sends its events too before the new one may call.
    terminal.report('a post came at the last moment: once more')
    await from.send('PUT', `${path}/copy`, copied)
    await from.send('POST', `${path}/resume`)
  }
}

/** Until nothing was queued and no total changed for as long; answers the totals. */
async function untilQuiet(from: AdminClient, id: string, terminal: Terminal): Promise<string> {
  let before = ''
  let seconds = 0
  let reported = ''
  for (;;) {
    const { text, queued } = await readTotals(from, id)
    seconds = text === before && queued === 0 ? seconds + 1 : 0
    if (seconds > QUIET_SECONDS) return text
    before = text
    const news =
      seconds > 0
        ? `waits until nothing came for ${QUIET_SECONDS} s`
        : `posts or calls still happen, ${queued} queued`
    if (reported !== news) terminal.report((reported = news))
    await terminal.wait(1000)
  }
}

async function demandDrained({ name, admin }: Cell, id: string): Promise<void> {
  const { queued } = await readTotals(admin, id)
  if (queued === 0) return
  throw new CommandFailed(
    `${name} has ${queued} event(s) of the account queued: register it there again, and move it once more.`,
  )
}

async function readTotals(from: AdminClient, id: string) {
  const totals = await from.get<TotalsAnswer>(`/totals?ad_account_id=${id}`)
  return { text: JSON.stringify(totals), queued: totals.queued }
}
