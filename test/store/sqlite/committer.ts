/**
 * A child process for the tests about death: opens the store, says so, and commits batches until it is killed. It prints
 * the id of each event once its commit is acknowledged, and `acknowledged <id>` once its acknowledgement is.
 *
 *   node committer.ts <path> <master key in base64> <first event number>
 */
import { writeSync } from 'node:fs'
import { openSqlite } from '../../support/stores.ts'
import { makePost, NOW_MS } from '../batches.ts'

const [path, masterKey, first] = process.argv.slice(2)
// At once, not through a stream that would forget its buffer when the process dies.
const print = (line: string) => writeSync(1, `${line}\n`)

try {
  const current = Buffer.from(masterKey!, 'base64')
  const { store } = await openSqlite({ path: path!, masterKeys: { current }, reservedBytes: 4 * 1024 * 1024 })
  print('open')
  let next = Number(first)
  const commitForever = async () => {
    for (;;) {
      const number = next++
      const { batchId } = (await store.commit(makePost([`event-${number}`]))).batch!
      print(`event-${number}`)
      if (number % 3 !== 0) continue
      await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
      print(`acknowledged event-${number}`)
    }
  }
  await Promise.all(Array.from({ length: 10 }, commitForever))
} catch (error) {
  print(error instanceof Error && 'code' in error ? String(error.code) : String(error))
}
