/**
 * Every call that reached the sandbox, with what explains why an event was recorded twice. A second recording is
 * honest when the relay cannot have known of the first: it was killed while the call was out or its outcome not yet on
 * disk, or a fault kept the outcome from it. Any other is the relay's own.
 */
import type { Journal, JournalEntry } from '../sandbox/journal.ts'
import type { Kill } from './relay-process.ts'

export interface CallLog {
  /** Takes over what the journal holds and empties it: when no call is under way. */
  fold(journal: Journal): void
  findDuplicates(kills: readonly Kill[]): Duplicates
  readonly callCount: number
}

export interface Duplicates {
  /** Recordings of an event that was recorded before. */
  readonly repeated: number
  /** Events that were recorded by calls that a kill cut off. */
  readonly inFlightAtKills: number
  /** Events that were recorded by calls whose outcome a fault kept back. */
  readonly outcomesLost: number
  /** Repetitions that neither explains. */
  readonly unexplained: readonly string[]
}

interface Call {
  readonly atMs: number
  readonly answeredAtMs: number | undefined
  readonly fault: JournalEntry['fault']
  readonly recorded: number
}

/** What the kernel still held of a dead relay may be read a little later. */
const STRAGGLER_MS = 300
const UNREADABLE: ReadonlySet<JournalEntry['fault']> = new Set([
  'reset',
  'hang',
  'status',
  'truncated',
  'wrongCount',
  'hugeAnswer',
] as const)
const UNEXPLAINED_SHOWN = 10

/** `writeMs`: from the answer to the synced outcome, on a machine that has other things to do. */
export function createCallLog(callTimeoutMs: number, writeMs: number): CallLog {
  const calls: Call[] = []
  const byEvent = new Map<string, Call[]>()

  function take(entry: JournalEntry): void {
    const { at: atMs, answeredAt: answeredAtMs, fault, recorded, events = [], adAccountId } = entry
    const call: Call = { atMs, answeredAtMs, fault, recorded }
    calls.push(call)
    if (recorded === 0) return
    for (const event of events) {
      const { event_id: eventId } = event as { event_id: string }
      // Pinterest refused just these, by name.
      if (eventId.startsWith('failing-')) continue
      const key = `${adAccountId}/${eventId}`
      const known = byEvent.get(key)
      if (known) known.push(call)
      else byEvent.set(key, [call])
    }
  }

  function isOutcomeLost({ atMs, answeredAtMs, fault }: Call): boolean {
    if (fault !== undefined && UNREADABLE.has(fault)) return true
    if (answeredAtMs === undefined) return fault === 'drip'
    return answeredAtMs - atMs > callTimeoutMs - writeMs
  }

  function wasCutOff({ atMs, answeredAtMs = Infinity }: Call, kills: readonly Kill[]): boolean {
    return kills.some(
      ({ fromMs, untilMs }) =>
        atMs <= untilMs + STRAGGLER_MS &&
        atMs > fromMs - callTimeoutMs - STRAGGLER_MS &&
        answeredAtMs > fromMs - writeMs,
    )
  }

  return {
    fold(journal) {
      for (const entry of journal.calls()) take(entry)
      journal.clear()
    },
    findDuplicates(kills) {
      const lost = calls.filter((call) => call.recorded > 0 && isOutcomeLost(call))
      const cutOff = calls.filter(
        (call) => call.recorded > 0 && !isOutcomeLost(call) && wasCutOff(call, kills),
      )
      const excused = new Set([...lost, ...cutOff])
      const unexplained: string[] = []
      let repeated = 0
      for (const [key, recordings] of byEvent) {
        repeated += recordings.length - 1
        if (recordings.slice(0, -1).every((call) => excused.has(call))) continue
        if (unexplained.length < UNEXPLAINED_SHOWN) unexplained.push(`${key} ${JSON.stringify(recordings)}`)
      }
      return { repeated, inFlightAtKills: sumOf(cutOff), outcomesLost: sumOf(lost), unexplained }
    },
    get callCount() {
      return calls.length
    },
  }
}

function sumOf(calls: readonly Call[]): number {
  return calls.reduce((sum, { recorded }) => sum + recorded, 0)
}
