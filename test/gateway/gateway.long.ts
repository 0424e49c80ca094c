/** Thousands of posts through the real gateway: what a race resets seldom shows with these. */
import t from 'tap'
import { gatewayMissing } from '../support/gateway.ts'
import { keepConnections, refuseEarly, refuseLargeBodies } from './races.ts'
import { keepRelayConnections, refuseUnread, startRelayBehindGateway } from './relay-behind-gateway.ts'

const skip = gatewayMissing()

t.test('a larger body always gets its 413, never a reset', { skip }, (t) => refuseLargeBodies(t, 10))

t.test('an early refusal reaches a client that is still sending', { skip }, (t) => refuseEarly(t, 30))

t.test('keep-alive connections serve thousands of posts without a reset', { skip }, (t) =>
  keepConnections(t, 2000),
)

t.test(
  'the real relay, with thousands of posts and large ones that it does not read',
  { skip },
  async (t) => {
    const behind = await startRelayBehindGateway(t)
    await refuseUnread(t, behind, 20)
    await keepRelayConnections(t, behind, 2000)
  },
)
