import t from 'tap'
import { createScrub } from '../../src/pinterest/scrub.ts'
import { anyText } from '../support/any-text.ts'
import fc from '../support/fast-check.ts'

const scrub = (text: string, token?: string, event?: object) =>
  createScrub(token, event && JSON.stringify(event))(text)

t.test('the token and whatever looks like one goes', async (t) => {
  t.equal(scrub('token pina_ABC123 is bad', 'pina_ABC123'), 'token [removed] is bad')
  t.equal(scrub('an older one: pinr_-Qk_S8.t/V+m= is bad'), 'an older one: [removed] is bad')
  t.equal(scrub('a relay key: prl_Ab-c_9 is none'), 'a relay key: [removed] is none')
  t.equal(scrub('header was: Bearer abc.def-ghi'), 'header was: [removed]')
  t.equal(scrub('tok/en$ echoed as tok%2Fen%24', 'tok/en$'), '[removed] echoed as [removed]')
})

t.test("the event's own values go, its name and id stay", async (t) => {
  const event = {
    event_name: 'checkout',
    event_id: 'order-77',
    user_data: { client_ip_address: '2001:db8::7', client_user_agent: 'Mozilla/5.0 (X)' },
    custom_data: { order_id: 'ord-4711', value: '129.95' },
  }
  t.equal(
    scrub(
      "checkout order-77: 2001:DB8::7 with Mozilla/5.0 (X) and ord-4711 for 129.95 is 'late'",
      undefined,
      event,
    ),
    "checkout order-77: [removed] with [removed] and [removed] for [removed] is 'late'",
  )
})

t.test('a value goes also where it is quoted in part, escaped, or out of a URL', async (t) => {
  const event = {
    event_source_url: 'https://shop.example/?q=red%20shoes',
    user_data: { client_user_agent: 'Mozilla/5.0 (iPhone) "quoted"', client_ip_address: '2001:db8::7' },
  }
  t.equal(scrub("'Mozilla/5.0 (iPhone...' is odd", undefined, event), "'[removed]...' is odd")
  t.equal(scrub(String.raw`got Mozilla/5.0 (iPhone) \"quoted\"`, undefined, event), 'got [removed]')
  t.equal(scrub('q was red shoes', undefined, event), 'q was [removed]')
  t.equal(scrub('from 2001:db8:0:0::7', undefined, event), 'from [removed]')
})

t.test('texts that hold no secret stay as they are', async (t) => {
  const text = "'external_id' is not in sha256 hashed format"
  t.equal(scrub(text, 'pina_1', { user_data: { external_id: ['x1y2z3'] } }), text)
  t.equal(scrub('at 12:30:05 it was full: retry'), 'at 12:30:05 it was full: retry')
})

t.test('addresses, hashes and control characters go, and a huge text is cut', async (t) => {
  t.equal(scrub('a@b.example 203.0.113.9\n\u001b[31m'), '[removed] [removed] [31m')
  t.equal(scrub(`x ${'a1'.repeat(32)}`), 'x [removed]')
  t.ok(scrub('y'.repeat(1e6)).length <= 500)
})

t.test('an event of any size costs little: huge values, and very many of them', async (t) => {
  const secret = `CANARY ${'x'.repeat(100_000)}`
  t.equal(
    scrub(`too long: ${secret}`, undefined, { custom_data: { content_name: secret } }),
    'too long: [removed]',
  )
  const ids = Array.from({ length: 50_000 }, (_, n) => `sku-${n}`)
  t.equal(scrub('sku-7 is odd', undefined, { custom_data: { content_ids: ids } }), '[removed]')
})

t.test('no value of an event survives, and no text throws', async () => {
  fc.assert(
    fc.property(anyText({ minLength: 3, maxLength: 80 }), anyText(), (value, after) => {
      const scrubbed = scrub(`> ${value} ${after}`, value, { user_data: { client_user_agent: value } })
      return '[removed]'.includes(value) || !scrubbed.includes(value) || `> ${after}`.includes(value.trim())
    }),
  )
})
