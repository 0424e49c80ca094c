/** Dead letters by why they died: what one cause did is repaired, replayed or deleted together. */
import { Type, type Static } from 'typebox'
import type { DeadLetter, DeadStatus } from '../store/store.ts'
import { closed, Count, Time, type RecordOf } from './answers.ts'

export const DeadLetterStatus = Type.Enum(['rejected', 'expired'] satisfies DeadStatus[])

export const DeadLetterGroup = Type.Object(
  {
    status: DeadLetterStatus,
    reason: Type.String(),
    message: Type.String(),
    dead_letters: Count,
    accounts: Count,
    too_old: Type.Integer({ minimum: 0, description: 'Of these, a replay would leave so many.' }),
    oldest_died_at: Time,
    newest_died_at: Time,
  },
  closed,
)
/** Messages are Pinterest's own texts: those beyond so many are counted under their reason. */
const MOST_GROUPS = 200
const OTHER_MESSAGES = '(other messages)'

export function createGroups(isTooOld: (deadLetter: DeadLetter) => boolean) {
  const groups = new Map<string, { group: RecordOf<Static<typeof DeadLetterGroup>>; accounts: Set<string> }>()
  return {
    /** From new to old. */
    add(deadLetter: DeadLetter): void {
      const { status, reason, adAccountId, diedAtMs } = deadLetter
      const nameOf = (message: string) => JSON.stringify([status, reason, message])
      const isFull = groups.size >= MOST_GROUPS && !groups.has(nameOf(deadLetter.message))
      const message = isFull ? OTHER_MESSAGES : deadLetter.message
      const known = groups.get(nameOf(message))
      const accounts = (known?.accounts ?? new Set()).add(adAccountId)
      groups.set(nameOf(message), {
        accounts,
        group: {
          status,
          reason,
          message,
          deadLetters: (known?.group.deadLetters ?? 0) + 1,
          accounts: accounts.size,
          tooOld: (known?.group.tooOld ?? 0) + (isTooOld(deadLetter) ? 1 : 0),
          oldestDiedAtMs: diedAtMs,
          newestDiedAtMs: known?.group.newestDiedAtMs ?? diedAtMs,
        },
      })
    },
    list: () =>
      Array.from(groups.values(), ({ group }) => group).toSorted(
        (one, other) => other.deadLetters - one.deadLetters,
      ),
  }
}
