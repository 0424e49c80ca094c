/**
 * The harness' own totals: what clients posted and how they were answered. Knows nothing of the relay's internals; at the end it
 * is compared with the sandbox's record and the relay's totals.
 */
import type { ChaosEvent } from './events.ts'
import type { Answered, Unanswered } from './post.ts'

export interface Ledger {
  note(adAccountId: string, events: readonly ChaosEvent[], outcome: Answered | Unanswered): void
  /** Events that some answer called `processed`, by account: none of them may be lost. */
  readonly taken: ReadonlyMap<string, ReadonlySet<string>>
  /** Events that some answer called failed, by Pinterest's word: each is a dead letter. */
  readonly rejected: ReadonlyMap<string, ReadonlySet<string>>
  readonly counted: Readonly<Totals>
  /** Answers that break the contract, the first of them. */
  readonly complaints: readonly string[]
  /** Posts by status, `unanswered` among them. */
  readonly statuses: ReadonlyMap<string, number>
}

interface Totals {
  /** Entries of answers that the relay's totals must count as received. */
  received: number
  /** Entries that the relay refused itself. */
  invalid: number
  /** Events of posts that nobody answered: the relay may have taken them or not. */
  unanswered: number
  unansweredRefused: number
}

/** What the answer table of docs/posting.md allows to a well-formed post. */
const CLEAN_STATUSES: ReadonlySet<number> = new Set([200, 202, 422, 503])
const COMPLAINTS_KEPT = 10

export function createLedger(): Ledger {
  const taken = new Map<string, Set<string>>()
  const rejected = new Map<string, Set<string>>()
  const counted: Totals = { received: 0, invalid: 0, unanswered: 0, unansweredRefused: 0 }
  const complaints: string[] = []
  const statuses = new Map<string, number>()

  function complain(text: string): void {
    if (complaints.length < COMPLAINTS_KEPT) complaints.push(text)
  }

  function noteEvent(
    adAccountId: string,
    { eventId, kind }: ChaosEvent,
    status: string,
    message: string,
  ): void {
    if (kind === 'invalid') {
      counted.invalid += 1
      if (status !== 'failed') complain(`${eventId} is malformed and was called ${status}`)
      return
    }
    counted.received += 1
    if (status === 'processed') setOf(taken, adAccountId).add(eventId)
    else setOf(rejected, adAccountId).add(eventId)
    if (status !== 'processed' && kind === 'good')
      complain(`${eventId} is good and was called ${status}: ${message}`)
  }

  return {
    note(adAccountId, events, outcome) {
      const word = outcome.kind === 'answered' ? String(outcome.status) : outcome.code
      statuses.set(word, (statuses.get(word) ?? 0) + 1)
      if (outcome.kind === 'unanswered') {
        if (outcome.code === 'ECONNREFUSED') return
        const invalid = events.filter(({ kind }) => kind === 'invalid').length
        counted.unanswered += events.length - invalid
        counted.unansweredRefused += invalid
        return
      }
      const { status, body } = outcome
      if (!CLEAN_STATUSES.has(status)) complain(`a post got ${status}: ${JSON.stringify(body).slice(0, 200)}`)
      if (status !== 200 && status !== 202 && status !== 422) return
      const entries = body.events ?? body.details?.events ?? []
      if (entries.length !== events.length) complain(`${events.length} events got ${entries.length} entries`)
      entries.forEach((entry, n) => {
        if (events[n]) noteEvent(adAccountId, events[n], entry.status, entry.error_message)
      })
    },
    taken,
    rejected,
    counted,
    complaints,
    statuses,
  }
}

function setOf(sets: Map<string, Set<string>>, name: string): Set<string> {
  let set = sets.get(name)
  if (!set) sets.set(name, (set = new Set()))
  return set
}
