/** Marked streams as a metric. Event names are a storefront's own text: only those that Pinterest knows become labels. */
import { isKnownEventName } from '../events/event-name.ts'
import type { Metrics } from './metrics.ts'
import type { VolumeWatch } from './volume-watch.ts'

const SERIES_LIMIT = 1000

export function reportVolume({
  metrics,
  volumeWatch,
}: {
  readonly metrics: Metrics
  readonly volumeWatch: VolumeWatch
}): void {
  metrics.labelledGauge({
    name: 'pinrelay_volume_mark',
    help: '1 for each account and event name with a sudden drop or surge against its own past. At most 1,000.',
    labels: ['ad_account_id', 'event_name', 'direction'],
    read: () =>
      volumeWatch
        .rows()
        .filter(({ state }) => state === 'drop' || state === 'surge')
        .slice(0, SERIES_LIMIT)
        .map(({ adAccountId, eventName, state }) => ({
          labels: {
            ad_account_id: adAccountId,
            event_name: isKnownEventName(eventName) ? eventName : 'other',
            direction: state,
          },
          value: 1,
        })),
  })
  metrics.gauge(
    'pinrelay_volume_streams_watched',
    'Pairs of account and event name whose volume is watched; at most 5,000.',
    () => volumeWatch.rows().length,
  )
}
