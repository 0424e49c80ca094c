/** `volume`: whether each account sends as many events of each name as it used to; the unusual ones first. */
import type { VolumeAnswer } from '../admin/volume.ts'
import { show, textOf, type Command } from './command.ts'
import { renderTable } from './table.ts'
import { EXIT } from './terminal.ts'

type Volume = VolumeAnswer['volume']

export const volume: Command = {
  name: 'volume',
  words: '[--account ID]',
  does: 'events of each name against the same hours of the days before, drops and surges first; exit code 3 when there are some',
  positionals: 0,
  options: { account: { type: 'string' } },
  async run(invocation) {
    const { options, admin } = invocation
    const account = textOf(options['account'])
    const query =
      account === undefined ? '' : `?${new URLSearchParams({ ad_account_id: account }).toString()}`
    const answer = await admin.get<VolumeAnswer>(`/volume${query}`)
    const { volume: rows } = answer
    show(invocation, answer, () => (rows.length === 0 ? 'no live events yet' : renderVolume(rows)))
    return rows.some(isMarked) ? EXIT.partly : EXIT.done
  },
}

export function isMarked({ state }: Volume[number]): boolean {
  return state === 'drop' || state === 'surge'
}

export function renderVolume(rows: Volume): string {
  return renderTable(
    ['account', 'event', 'state', 'since', 'seen', 'expected', 'within'],
    rows.map(({ ad_account_id, event_name, state, since, observed, expected, window_minutes: minutes }) => [
      ad_account_id,
      event_name,
      state,
      since,
      observed,
      expected === null ? 'not known yet' : Math.round(expected),
      `${minutes / 60} h`,
    ]),
  )
}
