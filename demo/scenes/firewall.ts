/** A firewall in front of Pinterest: the canary shows whether a 403 is about an event or about the account. */
import type { Scene } from '../demo.ts'
import { sampleEvent } from '../sample.ts'
import { count } from '../show.ts'
import { arrivalsOf } from '../wire.ts'

const DISLIKED = "' OR 1=1; DROP TABLE"
const EVENTS = 16
const CULPRIT = 9

export const firewallScene: Scene = {
  title: 'A firewall that dislikes one event',
  async play({ stage, screen, claim, ledger }) {
    const { quiet } = stage.shops
    screen.prose(
      'A 403 with a page of HTML may mean that the token was revoked, or that a firewall dislikes the text of one event. The relay ' +
        'asks with a test event of its own, the canary: it is taken, so that the 403 is about the events of the call.',
    )
    screen.blank()
    stage.sandbox.faults.set([{ kind: 'firewall', text: DISLIKED, status: 403 }])
    const ids = Array.from({ length: EVENTS }, (_, index) => `demo-firewall-${index}`)
    const events = ids.map((id, index) =>
      sampleEvent(id, index === CULPRIT ? { custom_data: { search_string: DISLIKED } } : {}),
    )
    const { status, entries } = await stage.post(quiet, events, { prefer: 'wait=30' })
    stage.sandbox.faults.clear()
    ledger.received += EVENTS
    ledger.firewalled += 1
    const { journal } = stage.sandbox
    const canaries = journal.calls({ adAccountId: quiet.adAccountId }).filter(({ isTest }) => isTest)
    ledger.canaries += canaries.length
    claim(
      `${count(canaries.length, 'canary', 'canaries')} asked, one event each, which Pinterest took`,
      canaries.length > 0 && canaries.every((call) => call.status === 200 && call.eventCount === 1),
    )
    claim(
      'the post was answered 422: the one event is refused, the others are delivered',
      status === 422 && entries.every((entry, index) => (entry.status === 'failed') === (index === CULPRIT)),
    )
    const times = ids.map((id) => arrivalsOf(stage.sandbox, quiet, id).length)
    claim(
      'Pinterest received each of the others once',
      times.every((received, index) => received === (index === CULPRIT ? 0 : 1)),
    )
  },
}
