/** Data that comes hashed already: SHA-256 passes unchanged, what only looks like it does not. */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Scene } from '../demo.ts'
import { isJson, sha256 } from '../order.ts'
import { sampleEvent } from '../sample.ts'
import { tick } from '../screen.ts'
import { showHash } from '../show.ts'
import type { Cell } from '../columns.ts'
import { arrivalsOf } from '../wire.ts'

const EVENT_ID = 'demo-hashed-1'

export const hashedScene: Scene = {
  title: 'Data that is hashed already',
  async play({ stage, screen, claims, claim, ledger }) {
    const { main } = stage.shops
    screen.prose(
      'Many shops hash on their side. A SHA-256 must pass as it is, never be hashed again. MD5 is a hash that Pinterest ' +
        'cannot match, and the hash of an empty field would make strangers one customer: both are left out.',
    )
    screen.blank()
    const good = sha256('hashed@example.com')
    const loud = sha256('loud@example.com')
    const md5 = createHash('md5').update('hashed@example.com').digest('hex')
    const ofNothing = sha256('')
    const userData = {
      em: [good, loud.toUpperCase(), md5, ofNothing],
      ph: sha256('14155552671'),
      external_id: md5,
    }
    const { status, entries } = await stage.post(main, [sampleEvent(EVENT_ID, { user_data: userData })])
    ledger.received += 1

    const [arrival] = arrivalsOf(stage.sandbox, main, EVENT_ID)
    const received = isJson(arrival?.event['user_data']) ? arrival.event['user_data'] : {}
    const warnings = (entries[0]?.warning_message ?? '').split('; ')
    const row = (
      field: string,
      what: string,
      raw: string,
      expected: string | undefined,
      code = '',
    ): readonly Cell[] => {
      const name = field.replace(/\[.*/, '')
      const values = received[name]
      const hashes: readonly unknown[] = Array.isArray(values) ? values : []
      const isLeftOut = !hashes.includes(raw) && warnings.includes(`user_data.${field}: ${code}`)
      const isThere = expected === undefined ? isLeftOut : hashes.includes(expected)
      const holds = claims.check(`hashed data: ${what} in ${field} is treated as it must be`, isThere)
      const outcome = expected === undefined ? `– ${code}` : showHash(expected)
      return [
        { text: tick(holds), style: holds ? 'green' : 'red' },
        { text: field },
        { text: what },
        { text: showHash(raw) },
        { text: isThere ? outcome : 'something else', style: expected === undefined ? 'yellow' : 'cyan' },
      ]
    }
    screen.table([
      ['', 'field', 'what it is', 'the shop sent', 'Pinterest got'].map((text) => ({ text })),
      row('em[0]', 'SHA-256', good, good),
      row('em[1]', 'SHA-256 in capitals', loud.toUpperCase(), loud),
      row('em[2]', 'MD5', md5, undefined, 'wrong_hash'),
      row('em[3]', 'SHA-256 of an empty text', ofNothing, undefined, 'placeholder'),
      row('ph', 'SHA-256', userData.ph, userData.ph),
      row('external_id', 'an id that looks like MD5', md5, sha256(md5)),
    ])
    screen.blank()
    const expected = { em: [good, loud], ph: [userData.ph], external_id: [sha256(md5)] }
    claim(
      'answered 200; these hashes arrived and no others',
      status === 200 && isDeepStrictEqual(received, expected),
    )
  },
}
