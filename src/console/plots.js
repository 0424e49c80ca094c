/** Plots over time, drawn by uPlot in the page's own colours. The text beside them has the latest values, or those under the pointer. */
import uPlot from './uplot.js'
import { h, setText } from './dom.js'
import { clock, time } from './format.js'

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {string} color a custom property of the style sheet
 * @property {boolean} [isDashed] so that lines differ by more than their colour
 */

const HEIGHT = 170
const WHOLE_STEPS = Array.from({ length: 12 }, (_, digits) =>
  [1, 2, 5].map((step) => step * 10 ** digits),
).flat()

/**
 * @param {object} options
 * @param {string} options.title
 * @param {readonly Line[]} options.lines
 * @param {(value: number | null | undefined) => string} options.show
 * @param {boolean} [options.isWhole] what is counted has no fractions, and its axis none
 */
export function createPlot({ title, lines, show, isWhole = false }) {
  const values = lines.map(() => h('b', {}, '–'))
  const moment = h('small')
  const canvas = h('div.canvas', { role: 'img', 'aria-label': `${title}: nothing yet` })
  const legend = lines.map(({ name, color, isDashed }, index) => {
    const swatch = h(isDashed ? 'i.swatch.dashed' : 'i.swatch', { 'aria-hidden': 'true' })
    swatch.style.borderColor = `var(${color})`
    return h('span', {}, swatch, name, ' ', values[index])
  })
  const element = h(
    'figure',
    {},
    h('figcaption', {}, h('h2', {}, title), h('div.legend', {}, ...legend, moment)),
    canvas,
  )
  /** @type {(number | null)[][]} */
  let data = [[], ...lines.map(() => [])]
  /** @type {uPlot | undefined} */
  let plot
  /** Of the axis of time; undefined: as far as there is data. @type {[number, number] | undefined} */
  let window

  function draw() {
    const color = (/** @type {string} */ name) => resolveColor(canvas, name)
    const axis = {
      stroke: color('--quiet'),
      font: '12px system-ui, sans-serif',
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    }
    plot?.destroy()
    canvas.replaceChildren()
    plot = new uPlot(
      {
        width: canvas.clientWidth || 300,
        height: HEIGHT,
        legend: { show: false },
        // All plots of the page show the same moment.
        cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false }, sync: { key: 'moment' } },
        hooks: { setCursor: [(self) => showValues(self.cursor.idx)] },
        padding: [8, 8, 0, 0],
        // Where nothing happened the axis goes to one, whatever its unit.
        scales: {
          x: { range: (_plot, low, high) => window ?? [low, high] },
          y: { range: (_plot, _low, high) => [0, high > 0 ? Math.max(high * 1.1, isWhole ? 1 : 0) : 1] },
        },
        axes: [
          {
            ...axis,
            size: 28,
            space: 90,
            values: (_plot, ticks, _axis, _space, step) => ticks.map((tick) => clock(tick, step)),
          },
          {
            ...axis,
            size: 58,
            values: (_plot, ticks) => ticks.map((tick) => show(tick)),
            ...(isWhole ? { incrs: WHOLE_STEPS } : {}),
          },
        ],
        series: [
          {},
          ...lines.map(({ name, color: property, isDashed }) => ({
            label: name,
            stroke: color(property),
            width: 2,
            // A line needs two values: a single one is drawn as a point.
            points: {
              show: false,
              filter: (/** @type {uPlot} */ _plot, /** @type {number} */ index) =>
                singleValues(data[index] ?? []),
              size: 5,
              fill: color(property),
            },
            ...(isDashed ? { dash: [6, 4] } : {}),
          })),
        ],
      },
      /** @type {uPlot.AlignedData} */ (data),
      canvas,
    )
  }

  /** @param {number | null | undefined} place none: the latest */
  function showValues(place) {
    const [times = []] = data
    const at = place ?? times.length - 1
    values.forEach((value, index) => setText(value, show(data[index + 1]?.[at])))
    setText(moment, place === null || place === undefined ? '' : time(1000 * (times[place] ?? 0)))
  }

  const resized = new ResizeObserver(() => {
    if (plot) plot.setSize({ width: canvas.clientWidth, height: HEIGHT })
  })
  resized.observe(canvas)
  const dark = matchMedia('(prefers-color-scheme: dark)')
  dark.addEventListener('change', draw)

  return {
    element,
    /**
     * @param {number[]} times seconds since the epoch @param {(number | null)[][]} series
     * @param {[number, number]} [shown] from when to when
     */
    set(times, series, shown) {
      window = shown
      data = [times, ...series]
      if (plot === undefined) draw()
      else plot.setData(/** @type {uPlot.AlignedData} */ (data))
      showValues(plot?.cursor.idx)
      const said = lines.map(({ name }, index) => `${name} ${show(series[index]?.at(-1))}`)
      canvas.setAttribute('aria-label', `${title}; now ${said.join(', ')}`)
    },
    close() {
      resized.disconnect()
      dark.removeEventListener('change', draw)
      plot?.destroy()
    },
  }
}

/** The places of values with none before and none after. @param {(number | null)[]} values */
function singleValues(values) {
  const isGap = (/** @type {number} */ place) => (values[place] ?? null) === null
  return values.flatMap((_, place) => (!isGap(place) && isGap(place - 1) && isGap(place + 1) ? [place] : []))
}

/** A canvas knows nothing of custom properties, nor of `light-dark`. @param {HTMLElement} element @param {string} name */
function resolveColor(element, name) {
  element.style.color = `var(${name})`
  const { color } = getComputedStyle(element)
  element.style.color = ''
  return color
}
