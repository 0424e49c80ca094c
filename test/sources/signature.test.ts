import t from 'tap'
import { isSigned } from '../../src/sources/signature.ts'
import { signatureOf, type Signature } from '../../src/sources/source.ts'
import { sign } from '../support/shop-payloads.ts'
import { NOW, NOW_S, OPTIONS } from './options.ts'

const BODY = '{"id":1}'
const check = (signature: Signature, secrets: string[], headers: Record<string, string>, body = BODY) =>
  isSigned(signature, secrets, { headers, body: Buffer.from(body) }, NOW.getTime())

const HEX: Signature = {
  header: 'x-signature',
  algorithm: 'sha256',
  encoding: 'hex',
  prefix: 'sha256=',
  timestampHeader: undefined,
  toleranceSeconds: 300,
}

t.test('Shopify and WooCommerce: base64 of the raw body, in the header of each', async (t) => {
  for (const [kind, header] of [
    ['shopify', 'x-shopify-hmac-sha256'],
    ['woocommerce', 'x-wc-webhook-signature'],
  ] as const) {
    const signature = signatureOf({ ...OPTIONS, kind })
    const right = { [header]: sign('one', BODY) }
    t.ok(check(signature, ['one'], right))
    t.ok(check(signature, ['two', 'one'], right), 'the older of two secrets')
    t.notOk(check(signature, ['two'], right))
    t.notOk(check(signature, ['one'], right, `${BODY} `), 'another body')
    for (const wrong of [
      '',
      'x',
      sign('one', BODY).slice(1),
      sign('one', BODY, 'hex'),
      sign('one', BODY, 'base64', 'sha1'),
    ])
      t.notOk(check(signature, ['one'], { [header]: wrong }))
    t.notOk(check(signature, ['one'], {}))
    t.notOk(check(signature, [], right), 'without a secret nothing is signed')
  }
})

t.test('custom: algorithm, encoding and prefix', async (t) => {
  t.ok(check(HEX, ['s'], { 'x-signature': `sha256=${sign('s', BODY, 'hex')}` }))
  t.notOk(check(HEX, ['s'], { 'x-signature': sign('s', BODY, 'hex') }), 'the prefix is missing')
  const sha1: Signature = { ...HEX, algorithm: 'sha1', prefix: '' }
  t.ok(check(sha1, ['s'], { 'x-signature': sign('s', BODY, 'hex', 'sha1') }))
  t.notOk(check(sha1, ['s'], { 'x-signature': sign('s', BODY, 'hex') }))
})

t.test('custom: the secret itself in a header', async (t) => {
  const token: Signature = { ...HEX, algorithm: 'none', prefix: 'Bearer ' }
  t.ok(check(token, ['old', 'a-long-secret'], { 'x-signature': 'Bearer a-long-secret' }))
  for (const wrong of ['Bearer a-long-secre', 'a-long-secret', 'Bearer ', ''])
    t.notOk(check(token, ['a-long-secret'], { 'x-signature': wrong }))
})

t.test('custom: a time that is signed with the body, within its window', async (t) => {
  const timed: Signature = { ...HEX, prefix: '', timestampHeader: 'x-time' }
  const at = (time: string, signed = time) => ({
    'x-time': time,
    'x-signature': sign('s', `${signed}.${BODY}`, 'hex'),
  })
  t.ok(check(timed, ['s'], at(String(NOW_S - 300))))
  t.ok(check(timed, ['s'], at(String((NOW_S + 300) * 1000))), 'milliseconds')
  t.notOk(check(timed, ['s'], at(String(NOW_S - 301))))
  t.notOk(check(timed, ['s'], at(String(NOW_S), String(NOW_S - 9999))), 'a time that was not signed')
  t.notOk(check(timed, ['s'], at('')))
})
