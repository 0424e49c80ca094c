/** `quality`: by what Pinterest can match events with people. `volume`: whether fewer events come than before. */
import type { MatchQualityAnswer, VolumeAnswer } from '../admin/insight.ts'
import { fieldsOf, queryOf, type Command } from './command.ts'
import { renderTable, type Columns } from './table.ts'

type Volume = VolumeAnswer['volume'][number]
type Quality = MatchQualityAnswer['rows'][number]

const NONE = 'no live events since the relay started'

export const quality: Command = {
  name: 'quality',
  words: '[--account ID] [--hours N]',
  does: 'shares of events with each identifier, per event name, over the last 24 hours or since the start, and what to improve first',
  async run({ options, admin }) {
    const answer = await admin.get<MatchQualityAnswer>(`/match-quality${queryOf(fieldsOf(options))}`)
    const shares = answer.columns.map(({ label, name }) => {
      const shareOf = ({ shares }: Quality) => `${Math.round(100 * shares[name])} %`
      return [label, shareOf] as const
    })
    const columns: Columns<Quality> = {
      account: 'ad_account_id',
      event: 'event_name',
      events: 'events',
      ...Object.fromEntries(shares),
    }
    const advice = answer.rows.flatMap(({ ad_account_id, event_name, advice: own }) =>
      own.map(({ message }) => `${ad_account_id} ${event_name}: ${message}`),
    )
    const table = renderTable(columns, answer.rows, NONE)
    return { answer, text: [table, ...(advice.length === 0 ? [] : ['', ...advice])].join('\n') }
  },
}

export const volume: Command = {
  name: 'volume',
  words: '[--account ID]',
  does: 'events of each name against the same hours of the days before, drops and surges first; exit code 3 when there are some',
  async run({ options, admin }) {
    const answer = await admin.get<VolumeAnswer>(`/volume${queryOf(fieldsOf(options))}`)
    return { answer, text: renderVolume(answer.volume), isPartial: answer.volume.some(isMarked) }
  },
}

export function isMarked({ state }: Volume): boolean {
  return state === 'drop' || state === 'surge'
}

export function renderVolume(rows: readonly Volume[]): string {
  const columns: Columns<Volume> = {
    account: 'ad_account_id',
    event: 'event_name',
    state: 'state',
    since: 'since',
    seen: 'observed',
    expected: ({ expected }) => (expected === null ? 'not known yet' : Math.round(expected)),
    within: ({ window_minutes: minutes }) => `${minutes / 60} h`,
  }
  return renderTable(columns, rows, NONE)
}
