/** What becomes of the pieces of a call, once there is a verdict on it. */
import type { Clock } from '../clock.ts'
import { splitEvents } from '../store/payload.ts'
import type { Lane } from './lane.ts'
import { halve, outcomeOf, type EventOutcome, type Piece } from './parcel.ts'
import { backoffMs } from './retry.ts'
import { createScrub } from './scrub.ts'
import type { Settle } from './settling.ts'
import type { Supply } from './supply.ts'
import type { Verdict } from './verdict.ts'

export interface ActOptions {
  readonly supply: Supply
  readonly settle: Settle
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
}

/** `token`: the one that the call was made with, so that no text can quote it. */
export type Act = (lane: Lane, pieces: readonly Piece[], verdict: Verdict, token: string) => void

/** Calls that fail as often with the same events are no longer taken for Pinterest's fault alone. */
const ATTEMPTS_TOGETHER = 3

export function createAct({ supply, settle, clock, random }: ActOptions): Act {
  return function act(lane, pieces, verdict, token) {
    switch (verdict.action) {
      case 'settle': {
        let next = 0
        const decided = pieces.map((piece) => {
          const results = verdict.results.slice(next, (next += piece.positions.length))
          // An event's JSON is needed only to scrub a text of its values: most results have none.
          const isSilent = results.every(
            ({ errorMessage, warningMessage }) => !errorMessage && !warningMessage,
          )
          const events = isSilent ? [] : splitEvents(piece.payload)
          const outcomes = results.map((result, place) =>
            outcomeOf(result, createScrub(token, events[place])),
          )
          supply.drop(lane, piece)
          return { piece, outcomes }
        })
        settle(decided, 'refused_event')
        return
      }
      case 'split': {
        const [first] = pieces
        if (first && isSingleEvent(pieces)) {
          const errorMessage = createScrub(token, splitEvents(first.payload)[0])(verdict.message)
          supply.drop(lane, first)
          const outcome: EventOutcome = { status: 'rejected', errorMessage, warningMessage: '' }
          settle([{ piece: first, outcomes: [outcome] }], verdict.reason)
          return
        }
        for (const half of cutInHalves(lane, pieces)) lane.addGroup(half)
        return
      }
      case 'retry':
        retry(lane, pieces)
        return
      case 'wait':
      case 'hold':
        for (const piece of pieces) lane.add(piece)
    }
  }

  /**
   * One moment for all: what failed in one call comes back in one call, not in as many as it had parcels. But what has
   * failed together often may have one culprit among it, so it comes back in halves, until that stands alone.
   */
  function retry(lane: Lane, pieces: readonly Piece[]): void {
    for (const piece of pieces) piece.attempts += 1
    const attempts = Math.max(...pieces.map((piece) => piece.attempts))
    const rest = (part: readonly Piece[], isGroup: boolean) =>
      lane.rest(part, clock.monotonicMs() + backoffMs(attempts, random()), isGroup)
    if (attempts < ATTEMPTS_TOGETHER) rest(pieces, false)
    else if (isSingleEvent(pieces)) rest(pieces, true)
    else for (const half of cutInHalves(lane, pieces)) rest(half, true)
  }

  function cutInHalves(lane: Lane, pieces: readonly Piece[]): readonly Piece[][] {
    const halves = halve(pieces)
    supply.replace(lane, pieces, halves.flat())
    return halves
  }
}

function isSingleEvent(pieces: readonly Piece[]): boolean {
  return pieces.length === 1 && pieces[0]?.positions.length === 1
}
