/** Raw orders going in and what Pinterest received, side by side. */
import { isDeepStrictEqual } from 'node:util'
import type { Demo, Scene } from '../demo.ts'
import {
  expectedEventOf,
  expectedWarningsOf,
  type Fate,
  isJson,
  type Json,
  type Line,
  type Order,
  rawEventOf,
  secretsOf,
  sha256,
  valueAt,
} from '../order.ts'
import { makeOrders } from '../orders.ts'
import { tick } from '../screen.ts'
import { count, showHash, showRaw } from '../show.ts'
import type { EventAnswer } from '../stage.ts'
import type { Cell } from '../columns.ts'
import { arrivalsOf } from '../wire.ts'

export const ordersScene: Scene = {
  title: 'Raw orders go in, hashes come out',
  async play(demo) {
    const { stage, screen, claim, ledger, secrets } = demo
    const { main } = stage.shops
    const orders = makeOrders(Math.floor(Date.now() / 1000))
    screen.prose(
      `One post with ${orders.length} orders as shops have them. Pinterest finds a customer only if both sides hash the ` +
        'very same text, so every value must first be normalized in one way. The demo knows by heart how each must be normalized ' +
        'and hashes that itself; ✓ means that the bytes which reached the sandbox are equal. ' +
        'What cannot be normalized for sure is left out (–, with the reason): a missing hash costs less than a wrong one.',
    )
    for (const order of orders) for (const secret of secretsOf(order)) secrets.add(secret)

    const { status, entries } = await stage.post(main, orders.map(rawEventOf))
    ledger.received += orders.length
    for (const [index, order] of orders.entries()) showOrder(demo, order, entries[index])

    screen.blank()
    claim(`all ${orders.length} orders were answered 200 in one post`, status === 200)
    const calls = new Set(
      orders.flatMap((order) => arrivalsOf(stage.sandbox, main, order.eventId)).map(({ call }) => call.at),
    )
    claim(`they travelled together, in ${count(calls.size, 'call')}`, calls.size === 1)
    const tokens = stage.sandbox.journal
      .calls({ adAccountId: main.adAccountId })
      .map(({ tokenLast4 }) => tokenLast4)
    claim(
      `with the account's Pinterest token (…${main.accessToken.slice(-4)}), which the shop never sees`,
      tokens.every((last4) => last4 === main.accessToken.slice(-4)),
    )
  },
}

function showOrder(
  { stage, screen, claims, claim }: Demo,
  order: Order,
  answer: EventAnswer | undefined,
): void {
  const { title, eventId, customer, rest } = order
  const found = arrivalsOf(stage.sandbox, stage.shops.main, eventId)
  const received = found[0]?.event ?? {}
  const userData = isJson(received['user_data']) ? received['user_data'] : {}
  const check = ([path, raw, fate]: Line, at: Json): readonly Cell[] => {
    const value = valueAt(at, path)
    const holds = claims.check(
      `${title}: ${path} ${showRaw(raw)} arrives as it must`,
      isFate(fate, raw, value),
    )
    return [
      { text: tick(holds), style: holds ? 'green' : 'red' },
      { text: path.replace('custom_data.', '') },
      { text: showRaw(raw) },
      normalizedCell(fate),
      receivedCell(fate, value),
    ]
  }
  const changed = rest.filter(([, raw, fate]) => !(fate.kind === 'sent' && fate.value === raw))
  screen.subheading(title)
  screen.table([
    HEAD,
    ...customer.map((line) => check(line, userData)),
    ...changed.map((line) => check(line, received)),
  ])
  const isExact = found.length === 1 && isDeepStrictEqual(received, expectedEventOf(order))
  claim('it arrived once, and holds exactly this and nothing else', isExact)
  const warnings = expectedWarningsOf(order)
  if (warnings.length === 0) return
  const warned = (answer?.warning_message ?? '').split('; ')
  claim(
    `the answer warns: ${warnings.join('; ')}`,
    warnings.length === warned.length && warnings.every((warning) => warned.includes(warning)),
  )
}

const HEAD = ['', 'field', 'the shop sent', 'must be normalized', 'Pinterest got'].map((text) => ({ text }))

function isFate(fate: Fate, raw: unknown, value: unknown): boolean {
  switch (fate.kind) {
    case 'hashed':
      return Array.isArray(value) && value.includes(sha256(fate.spelling))
    case 'sent':
      return value === fate.value
    // Neither itself nor its hash; that nothing else arrived is checked with the event as a whole.
    case 'dropped':
      return value !== raw && !(Array.isArray(value) && value.includes(sha256(String(raw))))
    case 'nothing':
      return value !== null
  }
}

function normalizedCell(fate: Fate): Cell {
  switch (fate.kind) {
    case 'hashed':
      return { text: fate.spelling }
    case 'sent':
      return { text: String(fate.value), style: 'dim' }
    case 'dropped':
    case 'nothing':
      return { text: '–', style: 'dim' }
  }
}

function receivedCell(fate: Fate, value: unknown): Cell {
  switch (fate.kind) {
    case 'hashed': {
      const values: readonly unknown[] = Array.isArray(value) ? value : []
      const hash = values.find((each) => each === sha256(fate.spelling)) ?? values[0]
      return { text: typeof hash === 'string' ? showHash(hash) : 'nothing', style: 'cyan' }
    }
    case 'sent':
      return { text: showRaw(value) }
    case 'dropped':
      return { text: `– ${fate.warning}`, style: 'yellow' }
    case 'nothing':
      return { text: '–', style: 'dim' }
  }
}
