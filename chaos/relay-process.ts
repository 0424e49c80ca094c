/** The relay of a scenario: when it started, when it was killed, and what it logged as errors. */
import { setTimeout as delay } from 'node:timers/promises'
import * as harness from '../test/support/relay-process.ts'
import { nowMs } from './now.ts'

/** The process died between these two. */
export interface Kill {
  readonly fromMs: number
  readonly untilMs: number
}

export interface RelayProcess extends Omit<harness.RelayProcess, 'kill'> {
  readonly startedAtMs: number
  readonly readyAtMs: number
  /** Lines of level error so far, the last of them. */
  readonly errors: readonly string[]
  /** kill -9, and the end that follows it. */
  kill(): Promise<Kill>
}

type Settings = Readonly<Record<string, string>>

const ERRORS_KEPT = 50

/** Killed while it starts, at whatever point that is. */
export async function killWhileStarting(settings: Settings, afterMs: number): Promise<Kill> {
  const relay = harness.spawnRelay({ settings })
  await delay(afterMs)
  return timeKill(relay)
}

/** Rejects with what the relay says when it does not start. */
export async function startRelayProcess(settings: Settings): Promise<RelayProcess> {
  const startedAtMs = nowMs()
  const errors: string[] = []
  const onLog = (line: string) => {
    if (line.startsWith('{"level":"error"')) errors.splice(0, errors.push(line) - ERRORS_KEPT)
  }
  const relay = await harness.startRelayProcess({ settings, onLog })
  return { ...relay, startedAtMs, readyAtMs: nowMs(), errors, kill: () => timeKill(relay) }
}

async function timeKill(relay: { kill(): Promise<void> }): Promise<Kill> {
  const fromMs = nowMs()
  await relay.kill()
  return { fromMs, untilMs: nowMs() }
}
