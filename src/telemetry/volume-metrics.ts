/** Marked streams as a metric. Event names are a storefront's own text: only those that Pinterest knows become labels. */
import { isKnownEventName } from '../events/event-name.ts'
import type { Metrics } from './metrics.ts'
import type { VolumeWatch } from './volume-watch.ts'

export function reportVolume({
  metrics,
  volumeWatch,
}: {
  readonly metrics: Metrics
  readonly volumeWatch: VolumeWatch
}): void {
  metrics.collect('volumeMark', () => {
    const marked = volumeWatch.rows().filter(({ state }) => state === 'drop' || state === 'surge')
    return marked.map(({ adAccountId, eventName, state }) => [
      {
        ad_account_id: adAccountId,
        event_name: isKnownEventName(eventName) ? eventName : 'other',
        direction: state,
      },
      1,
    ])
  })
  metrics.collect('volumeStreams', () => volumeWatch.rows().length)
}
