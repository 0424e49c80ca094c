/** The end: the relay's totals, beside what the demo counted and what Pinterest received. */
import type { Scene } from '../demo.ts'
import { tick } from '../screen.ts'
import { finalTotals } from '../final-totals.ts'
import type { Totals } from '../stage.ts'
import type { Cell } from '../columns.ts'

export const totalsScene: Scene = {
  title: 'The totals',
  async play({ stage, screen, claims, claim, ledger }) {
    screen.prose(
      'received = delivered + rejected + expired + filtered + queued + duplicate, at all times and across the crash. The relay keeps ' +
        'these totals; the demo counted on its own what it posted, and the sandbox what it took.',
    )
    screen.blank()
    const totals = await finalTotals(stage)
    const stats = Object.values(stage.sandbox.stats())
    const processed = stats.reduce((sum, { eventsProcessed }) => sum + eventsProcessed, 0)
    const failed = stats.reduce((sum, { eventsFailed }) => sum + eventsFailed, 0)

    const row = (name: keyof Totals, counted: number, by: string): readonly Cell[] => {
      const holds = claims.check(`totals: ${name} is ${counted}, as ${by}`, totals[name] === counted)
      return [
        { text: tick(holds), style: holds ? 'green' : 'red' },
        { text: name },
        { text: String(totals[name]).padStart(7) },
        { text: String(counted).padStart(7) },
        { text: by, style: 'dim' },
      ]
    }
    screen.table([
      ['', 'events', '  relay', 'counted', ''].map((text) => ({ text })),
      row('received', ledger.received, 'the demo posted'),
      row('delivered', processed - ledger.canaries, 'the sandbox took, but for the canaries'),
      row('rejected', failed + ledger.firewalled, 'the sandbox and its firewall refused'),
      row('expired', 0, 'nothing was old enough'),
      row('queued', 0, 'nothing is left waiting'),
      row('duplicate', ledger.duplicate, 'the demo posted twice'),
      row('invalid', ledger.invalid, 'the demo made unusable (not part of received)'),
    ])
    screen.blank()
    const { received, delivered, rejected, expired, filtered, queued, duplicate } = totals
    claim(
      `${received} = ${delivered} + ${rejected} + ${expired} + ${filtered} + ${queued} + ${duplicate}: the totals balance`,
      received === delivered + rejected + expired + filtered + queued + duplicate,
    )
    claim('Pinterest refused exactly the events that it was set to refuse', failed === ledger.rejected)
  },
}
