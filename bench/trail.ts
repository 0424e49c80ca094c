/**
 * What the event trail costs SQLite: events per second, CPU and bytes written to the disk, and what stays there, with the trail
 * and without it, in turns. Commits and acknowledges through the store alone: no HTTP, no Pinterest. Linux only.
 *
 *   npx node bench/trail.ts [events]
 */
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { openFolder } from '../test/support/at-exit.ts'
import { openSqlite } from '../test/support/stores.ts'
import { makePost } from './batch.ts'
import { median } from './measure.ts'

const ROUNDS = 5
const LOADS = [
  { eventsPerPost: 1, connections: 100 },
  { eventsPerPost: 1, connections: 1 },
  { eventsPerPost: 100, connections: 20 },
]
const eventCount = Number(process.argv[2] ?? 20_000)

interface Cost {
  readonly perSecond: number
  readonly cpuUs: number
  readonly writtenBytes: number
  readonly storedBytes: number
}

for (const load of LOADS) {
  const rounds = { on: [] as Cost[], off: [] as Cost[] }
  for (let n = 0; n < ROUNDS; n++) {
    for (const which of ['on', 'off'] as const) rounds[which].push(await measure(load, which === 'on'))
  }
  const names = ['perSecond', 'cpuUs', 'writtenBytes', 'storedBytes'] as const
  for (const name of names) {
    const [on, off] = (['on', 'off'] as const).map((which) => median(rounds[which].map((cost) => cost[name])))
    const part = `${on!.toFixed(1)} with, ${off!.toFixed(1)} without, ${(on! / off!).toFixed(2)}`
    process.stdout.write(`${load.eventsPerPost} per post, ${load.connections} connections: ${name} ${part}\n`)
  }
}

async function measure(
  { eventsPerPost, connections }: (typeof LOADS)[number],
  hasTrail: boolean,
): Promise<Cost> {
  const { path: folder, remove } = openFolder('trail')
  const path = join(folder, 'relay.db')
  const opened = await openSqlite({ path, masterKeys: { current: randomBytes(32) }, hasTrail })
  let left = (connections === 1 ? eventCount / 10 : eventCount) / eventsPerPost
  const count = left * eventsPerPost
  const [startedMs, cpu, wrote] = [performance.now(), process.cpuUsage(), bytesWritten()]
  let calls = 0
  const connection = async () => {
    while (left-- > 0) {
      const { batchId } = (await opened.store.commit(makePost(eventsPerPost, Date.now()))).batch!
      waiting.push(batchId)
      if (waiting.length >= connections / 4) {
        const call = { id: `call-${++calls}`, startedAtMs: Date.now() }
        const done = { delivered: 'rest', dead: [], acknowledgedAtMs: Date.now(), call } as const
        await opened.store.acknowledge(waiting.splice(0).map((batchId) => ({ batchId, ...done })))
      }
    }
  }
  const waiting: number[] = []
  await Promise.all(Array.from({ length: connections }, connection))
  const seconds = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const writtenBytes = (bytesWritten() - wrote) / count
  await opened.close()
  const storedBytes = statSync(path).size / count
  remove()
  return { perSecond: count / seconds, cpuUs: (user + system) / count, writtenBytes, storedBytes }
}

function bytesWritten(): number {
  return Number(/^wchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
}
