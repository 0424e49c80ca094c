/**
 * Stores whose files are flipped and cut anywhere, in as many rounds as one likes: `npm test` plays a few from a fixed
 * seed, the long form many from another one each time.
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { basename, join } from 'node:path'
import type { Test } from 'tap'
import { splitEvents } from '../../../src/store/payload.ts'
import { openSqlite, type OpenedStore } from '../../support/stores.ts'
import type { StoreProblem } from '../../../src/store/engine/operations.ts'
import { askAll, LIVE, makeBatch, NOW_MS, TEST } from '../batches.ts'
import { copyStore, createDice, OTHER, type Pattern } from './damaged.ts'
import { RESERVED_BYTES } from './ground.ts'

/** Of CPU: a machine that does much else, or whose disk syncs slowly, takes longer. */
export const REPLACED_WITHIN_CPU_MS = 5000

export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Not what makes it a newer schema: its last byte cannot be told from one. */
const VERSION_OFFSET = 63

export interface Opened extends OpenedStore {
  readonly problems: StoreProblem[]
  /** Paths of what was quarantined. */
  asides(): string[]
}

export async function openDamaged(
  t: Test,
  { masterKeys }: Pick<Pattern, 'masterKeys'>,
  path: string,
): Promise<Opened> {
  const problems: StoreProblem[] = []
  const onProblem = (problem: StoreProblem) => void problems.push(problem)
  const opened = await openSqlite({ path, masterKeys, onProblem, reservedBytes: RESERVED_BYTES })
  t.teardown(() => opened.close().catch(() => undefined))
  const asides = () => problems.flatMap((one) => (one.problem === 'queue_quarantined' ? [one.path] : []))
  return { ...opened, problems, asides }
}

export interface FlippedOptions {
  readonly pattern: Pattern
  /** Where copies may be made. */
  readonly folder: string
  readonly rounds: number
  readonly seed: number
  /** Which pages of the vault are damaged, of so many. */
  readonly vaultPages: (count: number) => readonly number[]
}

export function testFlipped(t: Test, { pattern, folder, rounds, seed, vaultPages }: FlippedOptions): void {
  t.test(
    'flipped and cut anywhere: it opens and works, or is quarantined and replaced, in time',
    async (t) => {
      const dice = createDice(seed)
      let asides = 0
      for (let round = 0; round < rounds; round++) {
        const from = dice(2) === 0 ? pattern.closed : pattern.killed
        const path = copyStore(from, join(folder, `round-${round}`))
        const ending = existsSync(`${path}-wal`) && dice(2) === 0 ? '-wal' : ''
        const what = damage(path + ending, dice)
        const name = `round ${round}, ${basename(from)}${ending}: ${what}`
        const startedMs = cpuMs()
        const opened = await openDamaged(t, pattern, path)
        await useAll(opened).catch((error: unknown) => {
          // The store's own words say why; the round says where.
          const why = (error as Error).cause
          throw new Error(`${name}: ${String(why ?? error)}`, { cause: error })
        })
        t.ok(cpuMs() - startedMs < REPLACED_WITHIN_CPU_MS, name)
        asides += opened.asides().length
        for (const aside of opened.asides()) t.ok(existsSync(aside), name)
        t.ok(opened.asides().length <= 1, 'once')
        await opened.close()
        const again = await openDamaged(t, pattern, path)
        // A page that nothing touched before may be met now; what replaced a corrupt file is whole.
        if (opened.asides().length > 0) t.strictSame(again.asides(), [], name)
        await again.close()
      }
      t.comment(`${asides} of ${rounds} were quarantined`)
      t.ok(asides > 0)
    },
  )

  t.test('a damaged vault stops the start with one line: tokens cannot be made again', async (t) => {
    const path = copyStore(pattern.closed, join(folder, 'vault'))
    const vault = join(path, '..', 'relay.vault.db')
    const whole = readFileSync(vault)
    for (const page of vaultPages(whole.length / 4096)) {
      const offset = page * 4096
      writeFileSync(vault, whole)
      overwrite(vault, offset, Buffer.alloc(4096, 0x33))
      const before = readFileSync(vault)
      const message = /^The store .*relay\.vault\.db is damaged/
      await t.rejects(openDamaged(t, pattern, path), { code: 'STORE_CANNOT_OPEN', message })
      t.strictSame(readFileSync(vault), before)
    }
    t.strictSame(asidesBeside(path), [])
  })
}

/** Touches all that an operation may touch; each must be done, now or after the file was replaced. */
async function useAll({ store, vaultStore }: OpenedStore): Promise<string[]> {
  const ids: string[] = []
  for (const queue of [LIVE, TEST, OTHER]) {
    const batches = await store.lease(askAll(queue))
    for (const { payload } of batches) ids.push(...splitEvents(payload))
    const acknowledgements = batches.map(({ batchId }) => ({
      batchId,
      delivered: 'rest' as const,
      dead: [],
      acknowledgedAtMs: NOW_MS,
    }))
    await store.acknowledge(acknowledgements)
  }
  await store.deadLetters({ limit: 100 })
  await store.backlog()
  await store.totals({})
  await store.size()
  await store.trimDedupe(0)
  for (const queue of [LIVE, TEST, OTHER]) {
    const { batch } = await store.commit(
      makeBatch([`after-${randomBytes(8).toString('hex')}-${'z'.repeat(9000)}`], queue),
    )
    await store.acknowledge([
      { batchId: batch!.batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS },
    ])
  }
  if ((await vaultStore.readVault()).length !== 3) throw new Error('vault')
  return ids
}

function damage(path: string, dice: (below: number) => number): string {
  const bytes = readFileSync(path)
  const kind = ['flip', 'flips', 'header', 'cut', 'page'][dice(5)]!
  const flip = (at: number) => {
    if (at !== VERSION_OFFSET) bytes[at]! ^= 1 << dice(8)
    return at
  }
  let size = bytes.length
  let places: number[] = []
  if (kind === 'flip') places = [flip(dice(size))]
  else if (kind === 'flips') for (let count = 0; count < 100; count++) places.push(flip(dice(size)))
  else if (kind === 'header') places = [flip(dice(100))]
  else if (kind === 'cut') size = dice(size)
  else {
    places = [dice(Math.ceil(size / 4096))]
    const start = places[0]! * 4096
    for (let at = start; at < Math.min(size, start + 4096); at++) bytes[at] = dice(256)
    bytes.writeUInt32BE(bytes.length < 64 || places[0] !== 0 ? bytes.readUInt32BE(60) : 1, 60)
  }
  writeFileSync(path, bytes.subarray(0, size))
  return `${kind} at ${kind === 'flips' ? 'many places' : places.join()} of ${bytes.length}, now ${size}`
}

export function overwrite(path: string, offset: number, bytes: Buffer): void {
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, bytes.length, offset)
  closeSync(file)
}

export function asidesBeside(path: string): string[] {
  return readdirSync(join(path, '..')).filter((name) => name.includes('.corrupt-'))
}
