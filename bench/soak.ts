/**
 * Ten minutes of single-event posts with raw data, as many as the machine takes: does memory stay flat, and does
 * everything arrive? The sandbox is cleared now and then, so that it is not what fills the memory.
 */
import type { Stage } from './contenders.ts'
import { shoot } from './load.ts'
import { createPosts } from './posts.ts'

export interface Soak {
  readonly minutes: number
  readonly posts: number
  readonly arrived: number
  readonly refused: number
  /** Every few seconds, in MiB. */
  readonly residentMebibytes: readonly number[]
  /** Of a line through the last two thirds, by least squares. */
  readonly growthMebibytesPerMinute: number
  readonly peakMebibytes: number
}

const STEP_SECONDS = 10
const CONNECTIONS = 100

export async function runSoak(stage: Stage, minutes: number, report: (text: string) => void): Promise<Soak> {
  const { child, headers } = stage.contenders.find(({ name }) => name === 'relay')!
  const adAccountIds = stage.adAccountIds.slice(0, 1)
  const posts = createPosts('raw', 1)
  const residentMebibytes: number[] = []
  let [sent, arrived, refused] = [0, 0, 0]
  child.forgetPeak()
  for (let step = 0; step < (60 * minutes) / STEP_SECONDS; step++) {
    const result = await shoot({
      port: child.port,
      connections: CONNECTIONS,
      seconds: STEP_SECONDS,
      posts,
      adAccountIds,
      headers,
    })
    sent += result.posts
    refused += result.posts - (result.statuses['200'] ?? 0)
    // All of them were answered 200: they are there.
    arrived += await stage.sandbox.countEvents(adAccountIds)
    await stage.sandbox.forgetEvents()
    residentMebibytes.push(child.residentMebibytes())
    report(
      `soak: ${(step + 1) * STEP_SECONDS} s, ${Math.round(result.posts / result.seconds)} posts/s, ${residentMebibytes.at(-1)} MiB`,
    )
  }
  const late = residentMebibytes.slice(Math.floor(residentMebibytes.length / 3))
  return {
    minutes,
    posts: sent,
    arrived,
    refused,
    residentMebibytes,
    growthMebibytesPerMinute: slopeOf(late) * (60 / STEP_SECONDS),
    peakMebibytes: child.peakMebibytes(),
  }
}

/** How much a value grows from one place to the next, by least squares; 0 for fewer than two. */
export function slopeOf(values: readonly number[]): number {
  if (values.length < 2) return 0
  const middle = (values.length - 1) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  let covariance = 0
  let variance = 0
  for (const [index, value] of values.entries()) {
    covariance += (index - middle) * (value - mean)
    variance += (index - middle) ** 2
  }
  return covariance / variance
}
