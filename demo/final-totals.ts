/** The relay's totals once it has noted the last outcomes: they reach the disk a moment after the shop's answer. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Totals, Stage } from './stage.ts'

const ACKNOWLEDGING_MS = 5000
const LOOK_EVERY_MS = 50

/** With whatever is queued still, if that does not come to nothing in time. */
export async function finalTotals(stage: Stage): Promise<Totals> {
  const untilMs = performance.now() + ACKNOWLEDGING_MS
  for (;;) {
    const totals = await stage.totals()
    if (totals.queued === 0 || performance.now() > untilMs) return totals
    await delay(LOOK_EVERY_MS)
  }
}
