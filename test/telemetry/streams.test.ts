import t from 'tap'
import { createStreams } from '../../src/telemetry/streams.ts'

t.test(
  'a full table is searched for idle streams once in each period, not for each new stream',
  async (t) => {
    let period = 1
    let looks = 0
    const streams = createStreams(
      () => ({ made: period }),
      ({ made }) => {
        looks += 1
        return made < period
      },
      () => period,
    )
    for (let account = 0; account < 5100; account++) streams.of(String(account), 'checkout')
    t.equal(looks, 5000)
    t.equal(streams.of('another', 'checkout'), undefined)
    period = 2
    t.ok(streams.of('another', 'checkout'))
    t.equal(looks, 10_000)
  },
)
