/** Privacy choices in the wrong place, in another spelling, or in the words of another API. */
import t from 'tap'
import { prepareWith } from './raw-events.ts'

const user = { em: 'anna.lind@shop.example' }

t.test('a choice is put where it belongs', async (t) => {
  const optedOut: [fields: object, path: string][] = [
    [{ user_data: { ...user, opt_out: true } }, 'user_data.opt_out'],
    [{ custom_data: { opt_out: '1' } }, 'custom_data.opt_out'],
    [{ optOut: 'true' }, 'optOut'],
    [{ 'opt-out': 1 }, '(unnamed)'],
    [{ OptOut: true }, 'OptOut'],
    [{ user_data: { ...user, optOut: true } }, 'user_data.optOut'],
    [{ device_info: { opt_out: true } }, 'device_info.opt_out'],
  ]
  for (const [fields, path] of optedOut) {
    t.match(
      prepareWith(fields),
      { status: 'prepared', event: { opt_out: true }, warnings: [`${path}: moved`] },
      path,
    )
  }
  const limited: [fields: object, path: string][] = [
    [{ opt_out_type: 'LDP' }, 'opt_out_type'],
    [{ optOutType: 'LDP', custom_data: { value: 1, currency: 'EUR' } }, 'optOutType'],
    [{ user_data: { ...user, opt_out_type: 'LDP' } }, 'user_data.opt_out_type'],
    [{ custom_data: { optOutType: 'LDP' } }, 'custom_data.optOutType'],
  ]
  for (const [fields, path] of limited) {
    const found = prepareWith(fields)
    t.match(found, { event: { custom_data: { opt_out_type: 'LDP' } }, warnings: [`${path}: moved`] }, path)
  }
})

t.test('of two choices the stricter counts, and what cannot be reconciled refuses the event', async (t) => {
  t.match(prepareWith({ opt_out: false, user_data: { ...user, opt_out: true } }), {
    event: { opt_out: true },
  })
  t.match(prepareWith({ opt_out: true, custom_data: { opt_out: false } }), { event: { opt_out: true } })
  t.match(prepareWith({ custom_data: { opt_out: false } }), { event: { opt_out: false } })
  const refused = [
    { user_data: { ...user, opt_out: 'perhaps' } },
    { opt_out: false, user_data: { ...user, opt_out: 'perhaps' } },
    { opt_out_type: 'LDP', custom_data: { opt_out_type: 'other' } },
    { custom_data: { contents: [{ id: 'A', opt_out: true }] } },
    { opt_out_type: {} },
  ]
  for (const fields of refused)
    t.match(prepareWith(fields), { reason: 'unreadable_opt_out' }, JSON.stringify(fields))
  t.match(prepareWith({ user_data: { ...user, opt_out: 'perhaps' } }), { path: 'user_data.opt_out' })
  t.match(prepareWith({ custom_data: { contents: [{ opt_out: true }] } }), {
    message: 'custom_data.contents[0].opt_out: is not read here; send it with the event',
  })
  t.match(prepareWith({ optOut: true, user_data: { ...user, optOut: false } }), { event: { opt_out: true } })
  t.match(prepareWith({ optOut: '', optOutType: ' ' }), { status: 'prepared', warnings: [] })
  t.same(prepareWith({ user_data: { ...user, opt_out: null, optOut: null }, optOutType: null }).warnings, [])
  t.match(prepareWith({ opt_out_type: 'LDP', custom_data: 'x' }), {
    event: { custom_data: { opt_out_type: 'LDP' } },
  })
})

t.test('what came with a misplaced choice is not lost in silence', async (t) => {
  const json = '{"currency":"EUR","value":"1"}'
  for (const custom_data of [json, [json], [JSON.parse(json)]]) {
    t.match(prepareWith({ opt_out_type: 'LDP', custom_data }), {
      event: { custom_data: { currency: 'EUR', value: '1', opt_out_type: 'LDP' } },
      warnings: ['opt_out_type: moved'],
    })
  }
  for (const custom_data of ['x', 5, [{}, {}]]) {
    const { warnings } = prepareWith({ opt_out_type: 'LDP', custom_data })
    t.same(warnings, ['custom_data: wrong_type', 'opt_out_type: moved'])
  }
})

t.test(
  'a choice is read in an object that comes as JSON; where it cannot be, the event is refused',
  async (t) => {
    t.match(prepareWith({ custom_data: '{"opt_out_type":"LDP"}' }), {
      event: { custom_data: { opt_out_type: 'LDP' } },
      warnings: [],
    })
    t.match(prepareWith({ user_data: JSON.stringify({ ...user, optOut: 1 }) }), {
      event: { opt_out: true },
      warnings: ['user_data.optOut: moved'],
    })
    for (const fields of [
      { custom_data: '{"opt_out":true' },
      { custom_data: [{ opt_out_type: 'LDP' }, {}] },
      { device_info: 'opt-out' },
      { custom_data: '{"data_processing_options":["LDU"]}' },
      { custom_data: `{"opt_out":true,"np":"${'x'.repeat(40_000)}"}` },
    ]) {
      t.match(prepareWith(fields), { reason: 'unreadable_opt_out' }, JSON.stringify(fields).slice(0, 80))
    }
  },
)

t.test('a choice in the words of another API refuses the event and names the field to use', async (t) => {
  const foreign = [
    { data_processing_options: ['LDU'] },
    { user_data: { ...user, data_processing_options: ['LDU'] } },
    { custom_data: { dataProcessingOptions: ['LDU'] } },
    { limited_data_use: true },
    { restricted_data_processing: 1 },
    { data_processing_options: '["LDU"]' },
    { data_processing_options: { 0: 'LDU' } },
    { data_processing_options: { LDU: true } },
    { data_processing_options: '['.repeat(16_000) + ']'.repeat(16_000) },
  ]
  for (const fields of foreign) {
    t.match(prepareWith(fields), { reason: 'unreadable_opt_out', message: /opt_out_type of custom_data/ })
  }
  for (const value of [[], null, '', false, 0, [''], 'false', '[]', '[""]', {}, { 0: '' }]) {
    t.match(prepareWith({ data_processing_options: value, limited_data_use: value }), { status: 'prepared' })
  }
})
