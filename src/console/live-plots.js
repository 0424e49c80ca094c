/** The plots of the live view: a range of recent statistics, of all accounts or of one. */
import { fill, h } from './dom.js'
import { count, duration, rate } from './format.js'
import { createPlot } from './plots.js'

/** @typedef {Record<string, number | null> & { at: number }} Sample */

/** An account's event names that are drawn: those with the most events. */
const COLORS = ['--one', '--good', '--two', '--warn', '--bad']
const HOURS_OF = /** @type {Record<string, number>} */ ({ '15m': 1, '6h': 6, '7d': 168 })

export function createLivePlots() {
  const perSecond = (/** @type {number | null | undefined} */ value) => rate(value ?? 0)
  const plots = {
    throughput: createPlot({
      title: 'Throughput, per second',
      lines: [
        { name: 'posts', color: '--one' },
        { name: 'calls', color: '--two', isDashed: true },
        { name: 'turned away', color: '--bad' },
      ],
      show: perSecond,
    }),
    outcomes: createPlot({
      title: 'Outcomes, events per second',
      lines: [
        { name: 'delivered', color: '--good' },
        { name: 'invalid', color: '--warn', isDashed: true },
        { name: 'rejected or expired', color: '--bad' },
        { name: 'duplicate', color: '--two', isDashed: true },
        { name: 'filtered', color: '--one', isDashed: true },
      ],
      show: perSecond,
    }),
    latency: createPlot({
      title: 'Latency',
      lines: [
        { name: 'post, half', color: '--one' },
        { name: 'post, 99 of 100', color: '--two' },
        { name: 'call, 99 of 100', color: '--warn', isDashed: true },
      ],
      show: duration,
    }),
    depth: createPlot({
      title: 'Queue depth, events waiting',
      lines: [{ name: 'waiting', color: '--one' }],
      show: count,
      isWhole: true,
    }),
  }
  const all = Object.values(plots)
  const element = h('div.plots', {}, ...all.map((plot) => plot.element))
  const ofAccount = h('div.plots')
  ofAccount.hidden = true
  /** @type {ReturnType<typeof createPlot> | undefined} */
  let names
  let drawnNames = ''

  return {
    element: h('div', {}, element, ofAccount),
    /**
     * @param {readonly Sample[]} given @param {number} step in seconds
     * @param {number} atS now @param {number} spanS how far the axis goes back
     */
    setAll(given, step, atS, spanS) {
      element.hidden = false
      ofAccount.hidden = true
      const samples = withGaps(given, step)
      const each = (/** @type {string} */ name) => samples.map((sample) => sampled(sample, name, step))
      const raw = (/** @type {string} */ name) => samples.map((sample) => sample[name] ?? null)
      const times = samples.map(({ at }) => at)
      /** @type {[number, number]} */
      const window = [atS - spanS, atS]
      plots.throughput.set(times, [each('posts'), each('calls'), each('turned_away')], window)
      const died = samples.map((sample) => {
        const rejected = sampled(sample, 'rejected', step)
        return rejected === null ? null : rejected + (sample['expired'] ?? 0) / step
      })
      plots.outcomes.set(
        times,
        [each('delivered'), each('invalid'), died, each('duplicate'), each('filtered')],
        window,
      )
      plots.latency.set(
        times,
        [raw('post_p50_seconds'), raw('post_p99_seconds'), raw('call_p99_seconds')],
        window,
      )
      plots.depth.set(times, [raw('queued')], window)
    },
    /**
     * @param {readonly { event_name: string, hours: number[] }[]} volume with the most events first
     * @param {number} atS now @param {string} range
     */
    setAccount(volume, atS, range) {
      element.hidden = true
      ofAccount.hidden = false
      const drawn = volume.slice(0, COLORS.length)
      const wanted = drawn.map(({ event_name: name }) => name)
      if (names === undefined || wanted.join() !== drawnNames) {
        names?.close()
        drawnNames = wanted.join()
        names = createPlot({
          title: 'Events per hour',
          lines: wanted.map((name, index) => ({
            name,
            color: COLORS[index] ?? '--one',
            isDashed: index % 2 === 1,
          })),
          show: count,
          isWhole: true,
        })
        fill(ofAccount, names.element)
      }
      const hours = Math.max(2, HOURS_OF[range] ?? 0)
      const most = Math.min(hours, Math.max(0, ...drawn.map((row) => row.hours.length)))
      const times = Array.from({ length: most }, (_, place) => atS - 3600 * (most - 1 - place))
      names.set(
        times,
        drawn.map((row) => times.map((_, place) => row.hours[row.hours.length - most + place] ?? null)),
      )
    },
    close() {
      for (const plot of all) plot.close()
      names?.close()
    },
  }
}

/** Per second; a gap stays one. @param {Sample} sample @param {string} name @param {number} step */
function sampled(sample, name, step) {
  const value = sample[name]
  return value === undefined || value === null ? null : value / step
}

/** No line is drawn over the time when the relay did not run. @param {readonly Sample[]} samples @param {number} step */
function withGaps(samples, step) {
  return samples.flatMap((sample, place) => {
    const before = samples[place - 1]
    const isGap = before !== undefined && sample.at - before.at > 2.5 * step
    /** @type {Sample} */
    const gap = { at: sample.at - step }
    return isGap ? [gap, sample] : [sample]
  })
}
