/**
 * What a webhook costs the engine, in milliseconds of the processor: its signature, its mapping (JSON and all), and preparing the
 * event; for an order of two lines and one of a thousand. Medians.
 */
import { prepareEvent } from '../src/events/prepare.ts'
import { evaluate } from '../src/sources/expression.ts'
import { mapWebhook } from '../src/sources/map.ts'
import { isSigned } from '../src/sources/signature.ts'
import { signatureOf, type SourceOptions, type Webhook } from '../src/sources/source.ts'
import { CONTEXT, OPTIONS, run } from '../test/sources/options.ts'
import { shopifyHeaders, shopifyLine, shopifyOrder } from '../test/support/shop-payloads.ts'

const ROUNDS = 60
/** CPU time is measured in milliseconds. */
const LEAST_LINES_PER_ROUND = 1000
const NOW = new Date()
const SECRET = 'a-secret'
const options: SourceOptions = {
  ...OPTIONS,
  expression: `{"event_name": "checkout", "event_id": body.name, "contents": [body.line_items.{"id": sku, "item_price": price}]}`,
}
const context = { ...CONTEXT, nowMs: NOW.getTime(), accountCountry: 'US' }

for (const lines of [2, 1000]) {
  const runs = LEAST_LINES_PER_ROUND / lines
  const median = (run: () => unknown) => medianMs(runs, run)
  const items = Array.from({ length: lines }, (_, index) =>
    shopifyLine({ id: index, variant_id: 44_000_000_000 + index, sku: `SKU-${index}` }),
  )
  const text = JSON.stringify(shopifyOrder(NOW, { line_items: items }))
  const body = Buffer.from(text)
  const headers = shopifyHeaders(SECRET, text)
  const webhook: Webhook = { options, secrets: [SECRET], headers, oldestMs: 0 }
  const signatureMs = await median(() =>
    isSigned(signatureOf(options), webhook.secrets, { headers, body }, context.nowMs),
  )
  const mapMs = await median(() => run(mapWebhook(webhook, body)))
  const mapped = run(mapWebhook(webhook, body))
  if (mapped.status !== 'mapped') throw new Error(mapped.reason)
  const prepareMs = await median(() => prepareEvent(mapped.events[0], context))
  const expressionMs = await median(() =>
    evaluate({ options: { ...options, kind: 'custom' }, headers }, body),
  )
  process.stdout.write(
    `Shopify order, ${String(lines).padStart(4)} lines, ${(body.byteLength / 1024).toFixed(0).padStart(4)} KiB   signature ${show(signatureMs)}   ` +
      `map ${show(mapMs)}   prepare ${show(prepareMs)}   the same lines by an expression ${show(expressionMs)}\n`,
  )
}

function show(ms: number): string {
  return `${ms.toFixed(2).padStart(6)} ms`
}

async function medianMs(runs: number, run: () => unknown): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.threadCpuUsage()
    for (let n = 0; n < runs; n++) await run()
    const { user, system } = process.threadCpuUsage(before)
    times.push((user + system) / 1000 / runs)
  }
  return times.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)]!
}
