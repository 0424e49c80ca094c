/** Posts that follow each other on one connection before the first of them is answered. */
import { connect } from 'node:net'
import t from 'tap'
import { rawEvent } from '../support/events.ts'
import { enter } from '../support/relay.ts'

const POSTS = 20

t.test('many at once are answered in their order, without a warning of the runtime', async (t) => {
  const { account, relay, relayKey } = await enter(t)
  const warnings: string[] = []
  const note = ({ name }: Error) => void warnings.push(name)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))

  const socket = connect(Number(new URL(relay.publicUrl).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  const counts = Array.from({ length: POSTS }, (_, index) => 1 + (index % 3))
  for (const count of counts) {
    const body = JSON.stringify({ data: Array.from({ length: count }, () => rawEvent()) })
    socket.write(
      [
        `POST /v5/ad_accounts/${account}/events HTTP/1.1`,
        'host: relay',
        `authorization: Bearer ${relayKey}`,
        'content-type: application/json',
        `content-length: ${Buffer.byteLength(body)}`,
        '',
        body,
      ].join('\r\n'),
    )
  }
  let answered: number[] = []
  let text = ''
  for await (const chunk of socket) {
    text += String(chunk)
    answered = Array.from(text.matchAll(/"num_events_received":(\d+)/g), ([, count]) => Number(count))
    if (answered.length === POSTS) break
  }
  t.same(answered, counts)
  t.same(warnings, [])
})
