/** A queue with something of everything, as files to copy and to damage, and what is in it. */
import { randomBytes } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openSqlite } from '../../support/stores.ts'
import { LIVE, makeDead, makeBatch, NOW_MS, TEST } from '../batches.ts'
import { createRandom } from '../../support/random.ts'
import { RESERVED_BYTES } from './ground.ts'

export const OTHER = { adAccountId: '549755800000', isTest: false }
export const ACCOUNTS = [LIVE.adAccountId, OTHER.adAccountId]

export interface Pattern {
  readonly masterKeys: { readonly current: Uint8Array }
  /** Closed in order: all is in the file. */
  readonly closed: string
  /** As a process that was killed leaves it: much is in the WAL. */
  readonly killed: string
  /** Event ids that wait, by batch id. */
  readonly pending: ReadonlyMap<number, readonly string[]>
  /** Of a batch of which some events are acknowledged. */
  readonly acknowledged: readonly string[]
  readonly deadIds: readonly string[]
}

/** Folders with `relay.db`, its WAL and its vault. */
export async function makePattern(folder: string, batchCount = 120): Promise<Pattern> {
  const work = join(folder, 'work')
  const closed = join(folder, 'closed')
  const killed = join(folder, 'killed')
  for (const made of [work, closed, killed]) mkdirSync(made, { recursive: true })
  const masterKeys = { current: randomBytes(32) }
  const pending = new Map<number, readonly string[]>()
  const { store, vaultStore, close } = await openSqlite({
    path: join(work, 'relay.db'),
    masterKeys,
    reservedBytes: RESERVED_BYTES,
  })
  const documents = [...ACCOUNTS, 'key'].map((id) => ({ kind: 'account', id, body: randomBytes(300) }))
  await vaultStore.changeVault(() => documents)

  const commit = async (ids: readonly string[], queue: typeof LIVE) => {
    const { batchId } = (await store.commit(makeBatch(ids, queue))).batch!
    pending.set(batchId, ids)
    return batchId
  }
  const fill = async (from: number, to: number) => {
    for (let index = from; index < to; index += 10) {
      const group = Array.from({ length: 10 }, (_, offset) => {
        const number = index + offset
        const queue = [LIVE, TEST, OTHER][number % 3]!
        // Every seventh needs overflow pages.
        const tail = number % 7 === 0 ? `-${'y'.repeat(9000)}` : ''
        return commit([`event-${number}-a${tail}`, `event-${number}-b`], queue)
      })
      await Promise.all(group)
    }
  }
  const acknowledgeEvery = async (nth: number) => {
    const whole = [...pending].filter(([, [id]]) => id!.startsWith('event-'))
    const ids = whole.map(([batchId]) => batchId).filter((_, index) => index % nth === 0)
    for (const id of ids) pending.delete(id)
    await store.acknowledge(
      ids.map((batchId) => ({ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS })),
    )
  }
  await fill(0, batchCount)
  await acknowledgeEvery(4)
  const partly = await commit(['partly-0', 'partly-1', 'partly-2', 'partly-3'], LIVE)
  const dead = [makeDead(2), makeDead(3, 'expired')]
  await store.acknowledge([{ batchId: partly, delivered: [1], dead, acknowledgedAtMs: NOW_MS }])
  pending.set(partly, ['partly-0'])
  // A file of which a part was written back, and a WAL with what came later.
  await store.size()
  await fill(batchCount, batchCount + batchCount / 2)
  await acknowledgeEvery(5)
  copyStore(work, killed)
  await close()
  copyStore(work, closed)
  const acknowledged = ['partly-1', 'partly-2', 'partly-3']
  return { masterKeys, closed, killed, pending, acknowledged, deadIds: ['partly-2', 'partly-3'] }
}

export function copyStore(from: string, to: string): string {
  mkdirSync(to, { recursive: true })
  for (const name of ['relay.db', 'relay.db-wal', 'relay.vault.db', 'relay.vault.db-wal']) {
    if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name))
  }
  return join(to, 'relay.db')
}

/** A small generator of its own, so that a seed that was printed brings the same places back. */
export function createDice(seed: number): (below: number) => number {
  const random = createRandom(seed)
  return (below) => random.between(0, below - 1)
}
