/** The relay's books once it has noted the last verdicts: they reach the disk a moment after the shop's answer. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Books, Stage } from './stage.ts'

const SETTLING_MS = 5000
const LOOK_EVERY_MS = 50

/** With whatever is queued still, if that does not come to nothing in time. */
export async function settledBooks(stage: Stage): Promise<Books> {
  const untilMs = performance.now() + SETTLING_MS
  for (;;) {
    const books = await stage.books()
    if (books.queued === 0 || performance.now() > untilMs) return books
    await delay(LOOK_EVERY_MS)
  }
}
