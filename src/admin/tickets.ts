/** What is kept for a while under a name that nobody can guess: in memory, so a restart ends it all. */
import { randomBytes } from 'node:crypto'

const TICKETS_KEPT = 1000

/** `nowMs`: monotonic. */
export function createTickets<Value>(nowMs: () => number, lifeMs: number) {
  const kept = new Map<string, { readonly value: Value; readonly untilMs: number }>()
  return {
    issue(value: Value): string {
      const [oldest] = kept.keys()
      if (kept.size >= TICKETS_KEPT && oldest !== undefined) kept.delete(oldest)
      const ticket = randomBytes(32).toString('base64url')
      kept.set(ticket, { value, untilMs: nowMs() + lifeMs })
      return ticket
    },
    find(ticket: string): Value | undefined {
      const found = kept.get(ticket)
      return found !== undefined && nowMs() < found.untilMs ? found.value : undefined
    },
    end: (ticket: string) => void kept.delete(ticket),
  }
}
