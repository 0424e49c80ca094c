/** The recipes of docs/custom-sources.md, as they stand: settings, expression, and the webhook that it is for. */
import t from 'tap'
import { prepareEvent } from '../../src/events/prepare.ts'
import { evaluate } from '../../src/sources/expression.ts'
import { blocksOf, read } from '../docs/pages.ts'
import { CONTEXT, NOW, OPTIONS } from './options.ts'

const sections = read('docs/custom-sources.md').split('\n## Recipes\n')[1]!.split('\n### ').slice(1)

t.test('there is a recipe for each of them', async (t) => {
  const names = sections.map((section) => section.split('\n')[0])
  t.same(names, [
    'Magento 2',
    'PrestaShop',
    'BigCommerce',
    'Segment',
    'GA4-shaped server events',
    'Google Tag Manager server container',
  ])
})

for (const section of sections) {
  const [settings, expression, webhook] = blocksOf(section)
  t.test(`${section.split('\n')[0]}: one checkout, and nothing is lost`, async (t) => {
    t.match(JSON.parse(settings!.text), { signature: { header: /^[A-Za-z-]+$/ } })
    t.equal(expression!.language, 'jsonata')
    const headers = { 'x-gtm-timestamp': String(NOW.getTime() / 1000) }
    const options = { ...OPTIONS, kind: 'custom', expression: expression!.text } as const
    const mapped = await evaluate({ options, headers }, Buffer.from(webhook!.text))
    t.equal(mapped.status, 'mapped', JSON.stringify(mapped))
    if (mapped.status !== 'mapped') return
    const { data } = JSON.parse(Buffer.from(mapped.payload).toString()) as { data: unknown[] }
    t.equal(data.length, 1)
    const prepared = prepareEvent(data[0], CONTEXT)
    t.match(prepared, { status: 'prepared', eventName: 'checkout' })
    const codes = prepared.warnings.map(({ path, code }) => `${path}: ${code}`)
    t.same(
      codes.filter((code) => !/converted|event_name_mapped/.test(code)),
      [],
    )
    const { custom_data: bought } = JSON.parse(prepared.status === 'prepared' ? prepared.json : '{}') as {
      custom_data: object
    }
    t.match(bought, {
      value: /^\d/,
      currency: /^[A-Z]{3}$/,
      order_id: /./,
      contents: [{ id: /./, item_price: /^\d/ }],
    })
  })
}

t.test('Segment: what is no event makes none', async (t) => {
  const expression = blocksOf(sections.find((section) => section.startsWith('Segment'))!)[1]!.text
  const options = { ...OPTIONS, kind: 'custom', expression } as const
  for (const body of [{ type: 'identify' }, { type: 'track', event: 'Anything else' }])
    t.match(await evaluate({ options, headers: {} }, Buffer.from(JSON.stringify(body))), {
      status: 'filtered',
      reason: 'no_event',
    })
})
