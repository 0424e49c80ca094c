/** The request that Pinterest's own SDKs show in their documentation, unchanged. */
import { isDeepStrictEqual } from 'node:util'
import type { Scene } from '../demo.ts'
import { arrivalsOf } from '../wire.ts'

/** As in the documentation of Pinterest's SDKs (`ConversionEventsApi.events_create`). */
const SEED = {
  event_name: 'checkout',
  action_source: 'app_ios',
  event_time: 1451431341,
  event_id: 'eventId0001',
  user_data: {
    em: [
      '411e44ce1261728ffd2c0686e44e3fffe413c0e2c5adc498bc7da883d476b9c8',
      '09831ea51bd1b7b32a836683a00a9ccaf3d05f59499f42d9883412ed79289969',
    ],
    hashed_maids: [
      '0192518eb84137ccfe82c8b6322d29631dae7e28ed9d0f6dd5f245d73a58c5f1',
      '837b850ac46d62b2272a71de73c27801ff011ac1e36c5432620c8755cf90db46',
    ],
    client_ip_address: '216.3.128.12',
    client_user_agent:
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_13_6) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/67.0.3396.87 Safari/537.36',
  },
}

export const seedScene: Scene = {
  title: "The request of Pinterest's own documentation",
  async play({ stage, screen, claim, ledger }) {
    const { main } = stage.shops
    screen.prose(
      "Whatever works with Pinterest must work with the relay. This is the event of the SDKs' pages, of December 2015, " +
        'posted with ?test=true: Pinterest checks such events and records nothing, so their age does not matter.',
    )
    screen.blank()
    screen.verbatim(`  POST /v5/ad_accounts/${main.adAccountId}/events?test=true`)
    screen.verbatim(
      `  ${SEED.event_name}, ${SEED.action_source}, event_time ${SEED.event_time}, ${SEED.event_id}`,
    )
    screen.blank()
    const answer = await stage.post(main, [SEED], { isTest: true })
    ledger.received += 1
    const found = arrivalsOf(stage.sandbox, main, SEED.event_id)
    claim('answered 200, processed', answer.status === 200 && answer.entries[0]?.status === 'processed')
    claim(
      'it arrived once and word for word: two hashed addresses, two hashed device ids, IP address and user agent',
      found.length === 1 && isDeepStrictEqual(found[0]?.event, SEED),
    )
    claim('the call was marked as a test', found[0]?.call.isTest === true)
    claim(
      'Pinterest recorded no conversion of it',
      !stage.sandbox.conversions.counts(main.adAccountId).has(SEED.event_id),
    )
    claim(
      'the same event posted as a live one is refused: it is years too old, and the answer says so',
      await isInvalidLive(),
    )
    ledger.invalid += 1

    async function isInvalidLive(): Promise<boolean> {
      const { status, entries } = await stage.post(main, [SEED])
      return status === 422 && entries[0]?.error_message.startsWith('event_time: ') === true
    }
  },
}
