/** Dead letters: filtered, grouped by cause, opened, replayed after a count, purged. */
import { fill, h, setText, speak } from './dom.js'
import { createFilter, nameOf } from './dead-letter-filter.js'
import { createGroups, showDeadLetter } from './dead-letter-rows.js'
import { openForm } from './dialogs.js'
import { count } from './format.js'
import { ask } from './session.js'

const PAGE = 50
/** Dead letters that one request handles: progress is shown after each request. */
const STEP = 200
const COUNT_STEP = 10_000
/** What one request may name. */
const IDS_AT_ONCE = 1000

/** @typedef {{ ids?: number[], filter?: object }} Selection */
/** @typedef {Record<string, number>} Sum */

/** @param {URLSearchParams} query @returns {import('./main.js').View} */
export function createDeadLetters(query) {
  const form = createFilter(query, () => {
    filter = form.read()
    void load()
  })
  const groups = createGroups(chooseGroup)
  const list = h('div.dead_letters')
  const note = h('p.quiet', { role: 'status' })
  const progress = h('div.progress', { role: 'status' })
  const more = h('button', { type: 'button', onclick: () => void loadMore() }, 'Show more')
  const unapplied = h('span.quiet', { role: 'status' })
  const replayButton = h('button.main', { type: 'button', onclick: () => void openReplay() })
  const purgeButton = h('button.danger', { type: 'button', onclick: () => void openPurge() })
  const element = h(
    'div',
    {},
    form.element,
    groups.element,
    h('div.actions', {}, replayButton, purgeButton, unapplied),
    progress,
    note,
    list,
    more,
  )

  /** @type {Set<number>} */
  const chosen = new Set()
  /** @type {string | null} */
  let cursor = null
  /** What the list is asked for: the form as it was sent, not as it is filled in now. */
  let filter = form.read()
  /** The page of dead letters that is under way; what comes of an older one is thrown away. @type {object | undefined} */
  let loading
  let isRunning = false
  let isStopped = false
  let isClosed = false

  async function load() {
    chosen.clear()
    fill(list)
    setButtons()
    cursor = null
    loading = undefined
    const counted = loadGroups()
    await loadMore()
    await counted
  }

  async function loadGroups() {
    const asked = filter
    const answer = await ask('GET', `/dead-letters/groups?${new URLSearchParams(asked)}`).catch(
      () => undefined,
    )
    // Without an answer the list says why.
    if (answer !== undefined && asked === filter && !isClosed) groups.set(answer)
  }

  async function loadMore() {
    if (loading !== undefined) return
    const mine = (loading = {})
    try {
      const parameters = new URLSearchParams({
        ...filter,
        limit: String(PAGE),
        ...(cursor === null ? {} : { cursor }),
      })
      const answer = await ask('GET', `/dead-letters?${parameters}`)
      if (loading !== mine || isClosed) return
      list.append(
        ...answer.dead_letters.map((/** @type {import('./dead-letter-rows.js').DeadLetter} */ deadLetter) =>
          showDeadLetter(deadLetter, chosen.has(deadLetter.id), choose),
        ),
      )
      cursor = answer.next_cursor
      more.hidden = cursor === null
      setButtons()
      const shown = list.childElementCount
      fill(
        note,
        shown === 0
          ? 'No dead letter. Every event was delivered, or waits.'
          : cursor === null
            ? `${count(shown)} dead letters.`
            : `The newest ${count(shown)}; there are more.`,
      )
    } catch (error) {
      if (loading !== mine) return
      more.hidden = true
      fill(note, /** @type {Error} */ (error).message)
    } finally {
      if (loading === mine) loading = undefined
    }
  }

  /** @param {number} id @param {boolean} isChosen */
  function choose(id, isChosen) {
    if (isChosen) chosen.add(id)
    else chosen.delete(id)
    setButtons()
  }

  /** All of one cause, whether they are listed or not. @param {import('./dead-letter-rows.js').Group} group */
  async function chooseGroup({ status, reason, message }) {
    chosen.clear()
    const wanted = { ...filter, status, reason, limit: String(IDS_AT_ONCE) }
    /** @type {string | null} */
    let next = null
    do {
      const parameters = new URLSearchParams({ ...wanted, ...(next === null ? {} : { cursor: next }) })
      const answer = await ask('GET', `/dead-letters?${parameters}`)
      for (const deadLetter of answer.dead_letters) {
        if (deadLetter.message === message) chosen.add(deadLetter.id)
      }
      next = answer.next_cursor
      setButtons()
    } while (next !== null && !isClosed)
    await loadAnew()
    speak(`${count(chosen.size)} are chosen.`)
  }

  /** The list with its boxes as they are chosen now. */
  async function loadAnew() {
    fill(list)
    cursor = null
    loading = undefined
    await loadMore()
  }

  function whatIsMeant() {
    return chosen.size > 0 ? `the ${count(chosen.size)} chosen` : `all ${nameOf(filter)}`
  }

  /** They act on what is listed or chosen, so not while the form says something else, or nothing is there. */
  function setButtons() {
    const isApplied = chosen.size > 0 || JSON.stringify(form.read()) === JSON.stringify(filter)
    const disabled = isRunning || !isApplied || (chosen.size === 0 && list.childElementCount === 0)
    fill(replayButton, `Replay ${whatIsMeant()}`)
    fill(purgeButton, `Purge ${whatIsMeant()}`)
    for (const button of [replayButton, purgeButton]) Object.assign(button, { disabled })
    setText(unapplied, isApplied ? '' : 'The filter was changed: press Filter first.')
  }

  /** One for each request that it takes. @returns {Selection[]} */
  function selections() {
    if (chosen.size === 0) {
      const { test, ...rest } = filter
      return [{ filter: { ...rest, ...(test === undefined ? {} : { test: test === 'true' }) } }]
    }
    const ids = [...chosen]
    return Array.from({ length: Math.ceil(ids.length / IDS_AT_ONCE) }, (_, part) => ({
      ids: ids.slice(part * IDS_AT_ONCE, (part + 1) * IDS_AT_ONCE),
    }))
  }

  /** @param {Selection[]} wanted @returns {Promise<Sum | undefined>} what a replay would do, unless it was stopped */
  async function countFirst(wanted) {
    const dry = wanted.map((one) => ({ ...one, dry_run: true, limit: COUNT_STEP }))
    const sum = await inSteps('/dead-letters/replay', dry, {
      describe: (counted) => `${count(sumOf(counted))} counted.`,
    })
    if (sum === undefined || isStopped) return undefined
    fill(progress)
    return sum
  }

  async function openReplay() {
    const wanted = selections()
    const dry = await countFirst(wanted)
    if (dry === undefined) return
    const { replayed = 0, too_old: tooOld = 0 } = dry
    openForm({
      title: `Replay ${eventsOf(replayed)}?`,
      content: [
        h('p', {}, 'They are queued again, and sent after everything else of their queues.'),
        tooOld > 0 ? h('p', {}, `${count(tooOld)} more are too old: they stay.`) : '',
      ],
      button: 'Replay',
      async send() {
        void run('/dead-letters/replay', wanted, {
          total: replayed + tooOld,
          describe: (sum) =>
            `${count(sum['replayed'])} queued again, ${count(sum['duplicates'])} were posted again meanwhile, ${count(sum['too_old'])} are too old.`,
        })
      },
    })
  }

  async function openPurge() {
    const wanted = selections()
    const meant = whatIsMeant()
    const dry = await countFirst(wanted)
    if (dry === undefined) return
    openForm({
      title: `Purge ${eventsOf(sumOf(dry))}?`,
      content: [h('p', {}, `This deletes ${meant} for good. The totals still count them.`)],
      button: 'Purge',
      isDangerous: true,
      async send() {
        void run('/dead-letters/purge', wanted, { describe: (sum) => `${count(sum['purged'])} purged.` })
      },
    })
  }

  /**
   * Not awaited by the dialog, which closes: the page has the progress and the button that stops it.
   * @param {Parameters<typeof inSteps>} given
   */
  async function run(...given) {
    if (await inSteps(...given)) await load()
  }

  /**
   * @param {string} path
   * @param {object[]} requests
   * @param {{ total?: number, describe: (sum: Sum) => string }} options
   * @returns {Promise<Sum | undefined>} undefined: it failed, or the page was left
   */
  async function inSteps(path, requests, { total, describe }) {
    isStopped = false
    /** @type {Sum} */
    const sum = {}
    const bar = h('progress', { max: total, 'aria-label': 'Progress' })
    const text = h('span')
    const stop = h('button', { type: 'button', onclick: () => void (isStopped = true) }, 'Stop')
    fill(progress, bar, text, stop)
    isRunning = true
    setButtons()
    /** @type {string | null} */
    let next = null
    let left = requests.length
    try {
      for (const wanted of requests) {
        do {
          const { next_cursor, ...counts } = await ask('POST', path, {
            limit: STEP,
            ...wanted,
            ...(next === null ? {} : { cursor: next }),
          })
          for (const [name, value] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + Number(value)
          if (total !== undefined) Object.assign(bar, { value: sumOf(sum) })
          fill(text, describe(sum))
          next = next_cursor
        } while (next !== null && !isStopped && !isClosed)
        left -= 1
        if (isStopped || isClosed) break
      }
      const isWhole = next === null && left === 0
      const result = isWhole
        ? describe(sum)
        : `Stopped${isClosed ? ', since the page was left' : ''}. ${describe(sum)}`
      fill(progress, h('p', {}, result))
      speak(result)
      return isClosed ? undefined : sum
    } catch (error) {
      fill(progress, h('p.problem', {}, /** @type {Error} */ (error).message))
      return undefined
    } finally {
      isRunning = false
      setButtons()
    }
  }

  more.hidden = true
  form.element.addEventListener('input', setButtons)
  void load()
  return {
    element,
    close() {
      isClosed = true
    },
  }
}

const eventsOf = (/** @type {number} */ number) => `${count(number)} ${number === 1 ? 'event' : 'events'}`

/** @param {Sum} sum */
function sumOf(sum) {
  return Object.values(sum).reduce((one, other) => one + other, 0)
}
