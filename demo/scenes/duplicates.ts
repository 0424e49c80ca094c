/** The same order posted again: counted once. */
import type { Scene } from '../demo.ts'
import { sampleEvent } from '../sample.ts'
import { arrivalsOf } from '../wire.ts'

export const duplicatesScene: Scene = {
  title: 'The same order twice',
  async play({ stage, screen, claim, ledger }) {
    const { main } = stage.shops
    screen.prose(
      'A shop that had no answer posts again, a customer reloads the thank-you page. The relay remembers what it sent and ' +
        'answers as if all were well, with the warning "duplicate".',
    )
    screen.blank()
    const first = sampleEvent('demo-twice-1')
    const second = sampleEvent('demo-twice-2')
    await stage.post(main, [first])
    const { status, entries } = await stage.post(main, [first, second, second])
    ledger.received += 4
    ledger.duplicate += 2
    const isDuplicate = entries.map(({ warning_message }) =>
      warning_message.split('; ').includes('duplicate'),
    )
    claim(
      'of [first, second, second], the first was posted before: answered duplicate, new, duplicate',
      status === 200 &&
        isDuplicate.join() === 'true,false,true' &&
        entries.every((entry) => entry.status === 'processed'),
    )
    const times = ['demo-twice-1', 'demo-twice-2'].map((id) => arrivalsOf(stage.sandbox, main, id).length)
    claim('Pinterest received each of the two once', times.join() === '1,1')
  },
}
