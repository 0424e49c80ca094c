/** Runs test files in one child process, and reads the TAP that it prints. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { Parser, type Result } from 'tap-parser'
import { atExit } from './at-exit.ts'

export interface Failure {
  /** The test, after the tests that it is in. */
  readonly name: string
  /** Its comments and what was not as asserted, or what a process printed before it died. */
  readonly details: string
}

export interface Report {
  readonly files: readonly string[]
  /** Tests, `t.test`, and not assertions. */
  readonly passed: number
  readonly failures: readonly Failure[]
  /** The reason of each test that was skipped. */
  readonly skips: readonly string[]
  readonly seconds: number
  readonly cpuSeconds: number
}

export interface RunFilesOptions {
  readonly root: string
  readonly environment: Readonly<Record<string, string>>
  /** A process whose tests tell nothing for so long hangs: it is ended, and the test that it is in has failed. */
  readonly silenceSeconds: number
  /** Ends it, in order. */
  readonly signal?: AbortSignal
}

/** For the end in order, with what the process started. */
const END_SECONDS = 5
/**
 * The threads that collect garbage beside the main one cost a tenth of all CPU, on the cores that other groups use. With more room at the
 * start it is collected half as often.
 */
const NODE_FLAGS = ['--single-threaded-gc', '--min-semi-space-size=16']
const LINES_KEPT = 20
const COMMENTS_KEPT = 5
/** A test begins, or it or an assertion of it has ended. */
const TEST_LINE = /^ *(# Subtest: |(not )?ok \d).*$/gm
const TOLD_KEPT = 10_000
const TAPS_OWN_COMMENT = /^# (Subtest: |time=|failed |skip: |todo: )/

export async function runFiles(files: readonly string[], options: RunFilesOptions): Promise<Report> {
  const { root, environment, silenceSeconds, signal: stop } = options
  const startedAt = performance.now()
  const child = spawn(process.execPath, [...NODE_FLAGS, join('test', 'support', 'file-group.ts'), ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    // tap's own limit is for all of a process's tests together.
    env: { ...process.env, TAP_TIMEOUT: '0', ...environment },
  })
  const forget = atExit(() => child.kill('SIGTERM'))
  const tests = readTests(child.stdout)
  const silence = endWhenSilent(child, silenceSeconds * 1000)
  stop?.addEventListener('abort', silence.end)
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  forget()
  stop?.removeEventListener('abort', silence.end)
  const silentSince = silence.stop()
  const { passed, failures, skips, cpuSeconds, lastTest } = tests
  // 1 is how tap ends when a test failed; one that is unfinished says nothing of why the process ended.
  const isUnfinished = failures.some(({ details }) => details.includes('test unfinished'))
  const isToldOf = failures.length > 0 && code === 1 && !isUnfinished
  if (!isToldOf && (code !== 0 || passed + skips.length === 0)) {
    const ending =
      silentSince === undefined
        ? `ended with ${signal ?? code}, after ${lastTest || 'no test'}`
        : `told nothing for ${silenceSeconds} s, since "${silentSince}"`
    const name = `${files.join(' ')} ${ending}`
    failures.push({ name, details: lastLines(errors) })
  }
  return { files, passed, failures, skips, cpuSeconds, seconds: (performance.now() - startedAt) / 1000 }
}

/** `stop` answers the last that was told, where it had to end the process: the parser is always a line behind. */
function endWhenSilent(child: ChildProcessByStdio<null, Readable, Readable>, silenceMs: number) {
  let told = ''
  let silentSince: string | undefined
  let ending: NodeJS.Timeout | undefined
  const end = () => {
    child.kill('SIGTERM')
    ending = setTimeout(() => {
      child.kill('SIGKILL')
      // What it has started may live on, and hold them open.
      child.stdout.destroy()
      child.stderr.destroy()
    }, END_SECONDS * 1000)
  }
  const timer = setTimeout(() => {
    silentSince = told.match(TEST_LINE)?.at(-1)?.trim() ?? 'its start'
    end()
  }, silenceMs)
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    told = (told + text).slice(-TOLD_KEPT)
    if (silentSince === undefined) timer.refresh()
  })
  return {
    end,
    stop() {
      clearTimeout(timer)
      clearTimeout(ending)
      return silentSince
    },
  }
}

/** Collects what the tests report; complete when the stream has ended. */
function readTests(stream: NodeJS.ReadableStream) {
  const tests = { passed: 0, failures: [] as Failure[], skips: [] as string[], cpuSeconds: 0, lastTest: '' }
  const root = new Parser()
  const follow = (parser: Parser) => {
    let failed: Result[] = []
    const comments: string[] = []
    parser.on('child', follow)
    parser.on('comment', (text: string) => {
      tests.cpuSeconds = Number(/^# CPU seconds: ([\d.]+)/.exec(text)?.[1] ?? tests.cpuSeconds)
      if (!TAPS_OWN_COMMENT.test(text)) comments.push(text.trimEnd())
    })
    parser.on('assert', (result: Result) => {
      if (typeof result.skip === 'string') tests.skips.push(result.skip)
      else if (result.closingTestPoint) {
        tests.lastTest = result.fullname
        if (result.ok) tests.passed += 1
      } else if (!result.ok) failed.push(result)
    })
    // A test that failed only since a test in it did is told once, as the inner one.
    parser.on('complete', () => {
      if (failed.length === 0) return
      // All files of the process comment on the outermost level.
      const shown = parser === root ? [] : comments.slice(-COMMENTS_KEPT)
      tests.failures.push({ name: parser.fullname, details: [...shown, ...failed.map(describe)].join('\n') })
      failed = []
    })
  }
  follow(root)
  stream.pipe(root)
  return tests
}

interface Diagnosis {
  readonly at?: { readonly fileName?: string; readonly lineNumber?: number }
  readonly diff?: string
  readonly found?: unknown
  readonly wanted?: unknown
  readonly message?: string
  readonly stack?: string
}

function describe({ name, diag }: Result): string {
  const { at, diff, found, wanted, message, stack } = (diag ?? {}) as Diagnosis
  const place = at?.fileName === undefined ? '' : ` (${at.fileName}:${at.lineNumber})`
  const values = found === undefined ? '' : `found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`
  const lines = [diff ?? values, message ?? '', place === '' ? (stack ?? '') : '']
  return [`${name}${place}`, ...lines.filter((text) => text !== '').map(lastLines)].join('\n')
}

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-LINES_KEPT).join('\n')
}
