/** What becomes of a call's group, once there is a verdict on it. */
import type { Clock } from '../clock.ts'
import { splitEvents } from '../store/payload.ts'
import type { Lane } from './lane.ts'
import { halve, noteFailure, outcomeOf, type EventOutcome, type Piece } from './parcel.ts'
import { backoffMs } from './retry.ts'
import { createScrub } from './scrub.ts'
import {
  afterRefusal,
  afterSuccess,
  groupOf,
  isSearch,
  isSingleEvent,
  type Group,
  type Halve,
} from './search.ts'
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

export interface Act {
  /** `token`: the one that the call was made with, so that no text can quote it. */
  (lane: Lane, group: Group, verdict: Verdict, token: string): void
}

/** Calls that fail as often with the same events are no longer taken for Pinterest's fault alone. */
const ATTEMPTS_TOGETHER = 3

export function createAct({ supply, settle, clock, random }: ActOptions): Act {
  return function act(lane, group, verdict, token) {
    const cut: Halve = (pieces) => {
      const halves = halve(pieces)
      supply.replace(lane, pieces, halves.flat())
      return halves
    }
    switch (verdict.action) {
      case 'settle': {
        settleAll(lane, group.pieces, verdict, token)
        const next = afterSuccess(group, cut)
        if (next) lane.addGroup(next)
        return
      }
      case 'split': {
        const { culprit, next } = afterRefusal(group, cut)
        if (culprit) reject(lane, culprit, verdict, token)
        if (next) lane.addGroup(next)
        return
      }
      case 'retry':
        for (const piece of group.pieces) noteFailure(piece, { atMs: clock.wallMs(), reason: verdict.reason })
        rest(lane, group, cut)
        return
      case 'wait':
      case 'hold':
        if (isSearch(group)) lane.addGroup(group)
        else for (const piece of group.pieces) lane.add(piece)
    }
  }

  function settleAll(
    lane: Lane,
    pieces: readonly Piece[],
    { results }: Extract<Verdict, { action: 'settle' }>,
    token: string,
  ): void {
    let next = 0
    const decided = pieces.map((piece) => {
      const own = results.slice(next, (next += piece.positions.length))
      // An event's JSON is needed only to scrub a text of its values: most results have none.
      const isSilent = own.every(({ errorMessage, warningMessage }) => !errorMessage && !warningMessage)
      const events = isSilent ? [] : splitEvents(piece.payload)
      const outcomes = own.map((result, place) => outcomeOf(result, createScrub(token, events[place])))
      supply.drop(lane, piece)
      return { piece, outcomes }
    })
    settle(decided, 'refused_event')
  }

  function reject(
    lane: Lane,
    culprit: Piece,
    { message, reason }: Extract<Verdict, { action: 'split' }>,
    token: string,
  ): void {
    const errorMessage = createScrub(token, splitEvents(culprit.payload)[0])(message)
    supply.drop(lane, culprit)
    const outcome: EventOutcome = { status: 'rejected', errorMessage, warningMessage: '' }
    settle([{ piece: culprit, outcomes: [outcome] }], reason)
  }

  /**
   * One moment for all: what failed in one call comes back in one call, not in as many as it had parcels. But what has
   * failed together often may have one culprit among it, so it comes back in halves, until that stands alone; and holds
   * up no search any longer.
   */
  function rest(lane: Lane, group: Group, cut: Halve): void {
    const { pieces, suspects, cleared } = group
    const attempts = Math.max(...pieces.map((piece) => piece.attempts))
    const untilMs = () => clock.monotonicMs() + backoffMs(attempts, random())
    if (attempts < ATTEMPTS_TOGETHER) {
      lane.rest(group, untilMs(), isSearch(group))
      return
    }
    for (const piece of [...suspects, ...cleared]) lane.add(piece)
    const parts = isSingleEvent(pieces) ? [pieces] : cut(pieces)
    for (const part of parts) lane.rest(groupOf(part), untilMs(), true)
  }
}
