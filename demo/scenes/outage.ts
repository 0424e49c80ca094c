/** Pinterest is away, the relay is killed meanwhile, and nothing is lost. */
import type { Scene } from '../demo.ts'
import { sampleEvent } from '../sample.ts'
import { finalTotals } from '../final-totals.ts'
import { count } from '../show.ts'
import { arrivals, isSoon } from '../wire.ts'

const POSTS = 40
const QUEUED = 'queued by the relay, not yet confirmed by Pinterest'
/** Pauses between attempts grow while Pinterest is away; after so short an outage none is longer than this. */
const RECOVERY_MS = 15_000
/** As many in vain make the relay pause. */
const ATTEMPTS = 4

export const outageScene: Scene = {
  title: 'An outage that ends, and a crash in the midst of it',
  async play({ stage, screen, claim, ledger }) {
    const { sandbox, shops } = stage
    const { quiet } = shops
    const eventIds = Array.from({ length: POSTS }, (_, index) => `demo-outage-${index}`)
    screen.prose(
      'From here on Pinterest answers 503 or drops the connection. Orders keep arriving; with Prefer: wait=1 the shop ' +
        "waits at most one second for Pinterest's answer. Then the relay's process is killed (kill -9) and started again, " +
        'and only then does Pinterest come back.',
    )
    screen.blank()
    sandbox.faults.set([
      { kind: 'reset', when: 'beforeBody', probability: 0.3 },
      { kind: 'status', status: 503 },
    ])
    const before = await finalTotals(stage)
    const answers = await Promise.all(
      eventIds.map((eventId) => stage.post(quiet, [sampleEvent(eventId)], { prefer: 'wait=1' })),
    )
    ledger.received += POSTS
    claim(
      `all ${POSTS} posts were answered 202, each event with the warning "${QUEUED}"`,
      answers.every(
        ({ status, entries: [entry] }) =>
          status === 202 &&
          entry?.status === 'processed' &&
          entry.warning_message.split('; ').includes(QUEUED),
      ),
    )
    const isHere = () => {
      const counts = sandbox.conversions.counts(quiet.adAccountId)
      return eventIds.filter((id) => counts.has(id)).length
    }
    const during = await stage.totals()
    claim(
      `the totals say ${during.queued} queued, and Pinterest recorded none of them`,
      during.queued - before.queued === POSTS && isHere() === 0,
    )

    const tried = () => sandbox.journal.calls({ adAccountId: quiet.adAccountId }).length
    await stage.killAndStartAgain()
    const triedBefore = tried()
    const restarted = await stage.totals()
    claim('killed and started again: the same events are still queued', restarted.queued === during.queued)
    const again = await stage.post(quiet, [sampleEvent(eventIds[0]!)])
    ledger.received += 1
    ledger.duplicate += 1
    claim(
      'one of them posted once more is known as a duplicate',
      again.entries[0]?.warning_message.split('; ').includes('duplicate') === true,
    )
    claim(
      'the new process tries again by itself, and is turned away with ever longer pauses',
      await isSoon(sandbox, RECOVERY_MS, () => tried() >= triedBefore + ATTEMPTS),
    )

    sandbox.faults.clear()
    const endedMs = performance.now()
    const haveArrived = await isSoon(sandbox, RECOVERY_MS, () => isHere() === POSTS)
    const tookMs = Math.ceil(performance.now() - endedMs)
    claim(
      `the outage ends, and ${tookMs.toLocaleString('en')} ms later all ${POSTS} events have arrived`,
      haveArrived,
    )
    const counts = sandbox.conversions.counts(quiet.adAccountId)
    const doubled = eventIds.filter((id) => (counts.get(id) ?? 0) > 1).length
    claim('each of them was recorded exactly once', haveArrived && doubled === 0)
    const last = arrivals(sandbox, quiet).filter(({ event }) => eventIds.includes(String(event['event_id'])))
    const calls = new Set(last.map(({ call }) => call.at)).size
    const batched = calls < POSTS ? ', since what waits together travels together' : ''
    screen.prose(
      `They came in ${count(calls, 'call')}${batched}. (Had Pinterest recorded a call and lost its answer, the relay would ` +
        'have sent it again: never lost comes before never twice, and Pinterest counts an event_id once.)',
    )
  },
}
