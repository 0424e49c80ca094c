/** The store's interface, made of operations: each method submits one, or takes it in a few steps. */
import { searchTrail, showChanges } from '../core/trail-search.ts'
import { walk } from '../core/walk.ts'
import type { DeadLetter, Store } from '../store.ts'
import type { Batcher } from './batcher.ts'
import { PLAIN, type DeadLetterPage, type PlainKind, type RequestOf } from './operations.ts'

/** All but the size, which SQLite and PostgreSQL read differently. */
export function createStore(submit: Batcher['submit']): Omit<Store, 'size'> {
  const plain = PLAIN.map((kind) => [kind, (request: RequestOf<PlainKind>) => submit(kind, request as never)])

  return {
    ...(Object.fromEntries(plain) as Pick<Store, PlainKind>),
    async deadLetters({ limit, ...query }) {
      const deadLetters: DeadLetter[] = []
      let beforeId: number | undefined = query.beforeId ?? Number.MAX_SAFE_INTEGER
      while (deadLetters.length < limit && beforeId !== undefined) {
        const limitLeft = limit - deadLetters.length
        const step: DeadLetterPage = await submit('deadLetters', { ...query, limit: limitLeft, beforeId })
        deadLetters.push(...step.deadLetters)
        beforeId = step.beforeId
      }
      return deadLetters
    },
    events: (query) => searchTrail(query, (step) => submit('events', step)),
    trailChanges: async (position) => showChanges(await submit('trailChanges', position)),
    erase: (request) => walk((from) => submit('erase', { ...request, from })),
    async trimDedupe(seenBeforeMs) {
      await walk((from) => submit('trimDedupe', { seenBeforeMs, from }))
    },
    async reseal(limit) {
      return (await walk((from) => submit('reseal', { limit, from }))).resealed
    },
  }
}
