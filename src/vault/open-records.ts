/**
 * The vault's records in memory, written through to sealed documents: JSON, each bound to its kind and id, so that none
 * can pass for another one.
 */
import { createSequence } from '../clock.ts'
import { findOrphans } from './changes.ts'
import {
  applyChange,
  EMPTY_STATE,
  type Change,
  type Entry,
  type Kind,
  type Records,
  type VaultState,
} from './records.ts'
import type { Sealer } from './seal.ts'
import type { VaultChange, VaultDocument, VaultStore } from './vault-store.ts'

/** What a change does, and what its caller gets. */
type Decision<Result> = readonly [Change, Result]

export type OpenRecords = Awaited<ReturnType<typeof openRecords>>

/** Rejects with CANNOT_OPEN. */
export async function openRecords(vaultStore: VaultStore, sealer: Sealer) {
  const listeners: ((adAccountId: string) => void)[] = []
  let state = openDocuments(sealer, await vaultStore.readVault())

  function adopt(after: VaultState, isSame: (a: unknown, b: unknown) => boolean): void {
    const before = state
    state = after
    for (const adAccountId of changedAccounts(before, after, isSame)) {
      for (const listener of listeners) listener(adAccountId)
    }
  }

  async function run<Result>(decide: () => Decision<Result>): Promise<Result> {
    let after = state
    let answer: Result
    await vaultStore.changeVault((fresh) => {
      // Where this process cannot open it, it continues with what it knows.
      if (fresh !== undefined) adopt(openDocuments(sealer, fresh), isSameText)
      const [change, result] = decide()
      answer = result
      after = applyChange(state, change)
      const orphans = change.length === 0 ? [] : findOrphans(after)
      after = applyChange(after, orphans)
      return sealChange(sealer, [...change, ...orphans])
    })
    adopt(after, Object.is)
    return answer!
  }

  // One after the other, here and over all replicas: each is decided on the state that the one before it committed.
  const inOrder = createSequence()
  /** Commits what `decide` makes of the state, and deletes what is no longer needed; answers the result of `decide`. */
  const change = <Result>(decide: () => Decision<Result>) => inOrder.run(() => run(decide))

  return {
    state: () => state,
    change,
    /** Changes what goes with a record; false where there is no such record. */
    edit: <K extends Kind>(kind: K, id: string, decide: (known: Records[K]) => Change) =>
      change<boolean>(() => {
        const known = state[kind].get(id)
        return known === undefined ? [[], false] : [decide(known), true]
      }),
    onAccountChange: (listener: (adAccountId: string) => void) => void listeners.push(listener),
  }
}

/** Throws CANNOT_OPEN when no master key opens one of them. A kind that a newer relay wrote is left alone. */
export function openDocuments(sealer: Sealer, documents: readonly VaultDocument[]): VaultState {
  const known = documents.filter(({ kind }) => kind in EMPTY_STATE)
  const entries = known.map(({ kind, id, body }) => {
    const text = Buffer.from(sealer.open(body, bind(kind, id))).toString('utf8')
    return [kind, id, JSON.parse(text) as unknown] as Entry
  })
  return applyChange(EMPTY_STATE, entries)
}

export function sealChange(sealer: Sealer, change: Change): VaultChange {
  return change.map(([kind, id, record]) => {
    const seal = () => sealer.seal(Buffer.from(JSON.stringify(record)), bind(kind, id))
    return { kind, id, body: record && seal() }
  })
}

function bind(kind: string, owner: string) {
  return { purpose: `vault_${kind}`, owner }
}

/** The accounts that are not the same, or whose grant's pair is not. */
function changedAccounts(
  before: VaultState,
  after: VaultState,
  isSame: (a: unknown, b: unknown) => boolean,
): string[] {
  const of = (state: VaultState, adAccountId: string) => {
    const record = state.account.get(adAccountId)
    return { record, pair: state.grant.get(record?.account.grantId ?? '')?.pair }
  }
  const ids = new Set([...before.account.keys(), ...after.account.keys()])
  return [...ids].filter((adAccountId) => {
    const [old, now] = [of(before, adAccountId), of(after, adAccountId)]
    return !isSame(old.record, now.record) || !isSame(old.pair, now.pair)
  })
}

function isSameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
