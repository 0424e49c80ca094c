/**
 * The load generator: so many connections, each with one post on its way, for so long. A client of its own, since what it
 * costs is taken from the contenders on the same cores: of autocannon's 36 to 43 µs per post it takes a third.
 *
 * Nothing is pipelined. Posts that are on their way when the time is up are waited for, and count with the time they took.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { PostTemplate } from './posts.ts'

export interface Load {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  readonly posts: PostTemplate
  /** Posts go to them in turns. */
  readonly adAccountIds: readonly string[]
  readonly headers: Readonly<Record<string, string>>
}

export interface LoadResult {
  readonly posts: number
  readonly seconds: number
  /** By HTTP status. */
  readonly statuses: Readonly<Record<string, number>>
  readonly p50Ms: number
  readonly p99Ms: number
}

const HEAD_END = Buffer.from('\r\n\r\n')
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n')
/** An answer that does not come within this is an error of the benchmark. */
const PATIENCE_MS = 60_000

export async function shoot(load: Load): Promise<LoadResult> {
  const { port, connections, seconds, posts, adAccountIds, headers } = load
  const latenciesMs: number[] = []
  const statuses: Record<string, number> = {}
  const heads = adAccountIds.map((adAccountId) => makeHead(adAccountId, headers, posts.next().byteLength))
  let next = 0

  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)))
  const startedMs = performance.now()
  const endMs = startedMs + 1000 * seconds

  async function run(socket: Socket): Promise<void> {
    while (performance.now() < endMs) {
      const sentMs = performance.now()
      const body = posts.next()
      // One buffer, one write: the socket keeps it, while the template is patched again.
      socket.write(Buffer.concat([heads[next++ % heads.length]!, body]))
      const status = await readAnswer(socket)
      latenciesMs.push(performance.now() - sentMs)
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  await Promise.all(sockets.map(run))
  const endedMs = performance.now()
  for (const socket of sockets) socket.destroy()

  const sorted = Float64Array.from(latenciesMs).sort()
  const percentile = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
  return {
    posts: sorted.length,
    seconds: (endedMs - startedMs) / 1000,
    statuses,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
  }
}

function makeHead(adAccountId: string, headers: Readonly<Record<string, string>>, bodyBytes: number): Buffer {
  const lines = [
    `POST /v5/ad_accounts/${adAccountId}/events HTTP/1.1`,
    'host: 127.0.0.1',
    'content-type: application/json',
    `content-length: ${bodyBytes}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer came')))
  return socket
}

/** The status, once the whole answer has come. */
function readAnswer(socket: Socket): Promise<number> {
  return new Promise((resolve, reject) => {
    let answer: Buffer | undefined
    const onData = (chunk: Buffer) => {
      answer = answer === undefined ? chunk : Buffer.concat([answer, chunk])
      if (!isWhole(answer)) return
      finish()
      // HTTP/1.1 200: the status is at a fixed place.
      resolve(Number(answer.toString('latin1', 9, 12)))
    }
    const onClose = () => {
      finish()
      reject(new Error('The connection was closed before its answer.'))
    }
    const finish = () => socket.off('data', onData).off('close', onClose).off('error', reject)
    socket.on('data', onData).on('close', onClose).on('error', reject)
  })
}

function isWhole(answer: Buffer): boolean {
  const headEnd = answer.indexOf(HEAD_END)
  if (headEnd < 0) return false
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.toString('latin1', 0, headEnd))?.[1]
  const bodyStart = headEnd + HEAD_END.byteLength
  if (length !== undefined) return answer.byteLength >= bodyStart + Number(length)
  return answer.subarray(-LAST_CHUNK.byteLength).equals(LAST_CHUNK)
}
