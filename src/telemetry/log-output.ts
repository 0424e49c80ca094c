/**
 * Where log lines are written to: an output whose reader may be slow, stopped or gone, or a file on a full disk. Lines
 * are gathered and written in the background. What does not fit into a bounded memory, and what the output refuses, is
 * dropped and counted. Nothing here throws, waits without an end, or keeps the process alive.
 *
 * A pipe, a socket or a terminal is written without blocking: a thread that is blocked in a write could not be ended, and
 * neither could its process. A file is written by a thread, since its disk may be slow.
 */
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import type { Clock } from '../clock.ts'

export interface LogOutputOptions {
  readonly fd: number
  /** O_NONBLOCK is set, so that a write never waits for a reader. */
  readonly isNonBlocking: boolean
  readonly clock: Clock
}

/** Lines are gathered up to these. */
const GATHER_LENGTH = 16_000
const GATHER_MS = 500
/** What may wait for the output in all, in characters: some thousand lines. */
const LONGEST_WAITING = 1024 * 1024
/** A full pipe is tried again after this. */
const FULL_RETRY_MS = 20
/** An output that failed (its reader is gone, its disk is full) is tried again after this. */
const FAILED_RETRY_MS = 1000

/** The process's own output. */
export function openStandardOutput(clock: Clock) {
  const fd = 1
  if (isatty(fd)) {
    try {
      // A descriptor of its own: flags of the shared terminal stay unchanged.
      const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY
      return createLogOutput({ fd: openSync(`/proc/self/fd/${fd}`, flags), isNonBlocking: true, clock })
    } catch {
      return createLogOutput({ fd, isNonBlocking: false, clock })
    }
  }
  const stats = fstatSync(fd)
  const isNonBlocking = stats.isFIFO() || stats.isSocket()
  // Node sets O_NONBLOCK on a pipe or a socket when it makes this stream, and restores the flag on exit.
  if (isNonBlocking) process.stdout.on('error', () => undefined)
  return createLogOutput({ fd, isNonBlocking, clock })
}

export function createLogOutput({ fd, isNonBlocking, clock }: LogOutputOptions) {
  let text = ''
  /** What is being written. */
  let chunk: Uint8Array = NOTHING
  let dropped = 0
  /** The output ends with the beginning of a line that will not be finished. */
  let isLineOpen = false
  let isWriting = false
  let isResting = false
  let cancelTimer: (() => void) | undefined

  function pumpIn(delayMs: number): void {
    cancelTimer = clock.after(delayMs, () => {
      cancelTimer = undefined
      isResting = false
      pump()
    })
  }

  function pump(): void {
    if (isWriting || isResting) return
    cancelTimer?.()
    cancelTimer = undefined
    if (chunk.length === 0) chunk = takeText()
    if (chunk.length === 0) return
    isWriting = true
    if (!isNonBlocking) return write(fd, chunk, written)
    try {
      written(null, writeSync(fd, chunk))
    } catch (error) {
      written(error, 0)
    }
  }

  function takeText(): Uint8Array {
    const taken = text === '' ? NOTHING : Buffer.from(isLineOpen ? `\n${text}` : text)
    text = ''
    return taken
  }

  function written(error: unknown, bytes: number): void {
    isWriting = false
    advance(bytes)
    if (error !== null) {
      if (!isFull(error)) drop()
      isResting = true
      pumpIn(isFull(error) ? FULL_RETRY_MS : FAILED_RETRY_MS)
    } else if (chunk.length > 0 || text.length >= GATHER_LENGTH) pump()
    else if (text !== '') pumpIn(GATHER_MS)
  }

  function advance(bytes: number): void {
    if (bytes === 0) return
    isLineOpen = chunk[bytes - 1] !== LINE_BREAK
    chunk = chunk.subarray(bytes)
  }

  function drop(): void {
    // The line break that ends an open line is no line of its own.
    const first = isLineOpen && chunk[0] === LINE_BREAK ? 1 : 0
    for (const byte of chunk.subarray(first)) if (byte === LINE_BREAK) dropped += 1
    chunk = NOTHING
  }

  return {
    /** Takes one line with its line break. */
    write(line: string): void {
      if (chunk.length + text.length + line.length > LONGEST_WAITING) dropped += 1
      else text += line
      if (text.length >= GATHER_LENGTH) pump()
      else if (cancelTimer === undefined && !isWriting) pumpIn(GATHER_MS)
    },
    /** Writes what was gathered now. */
    flush: pump,
    /** For the end of the process: writes what the output takes within `patienceMs`, and drops the rest. */
    flushSync(patienceMs: number): void {
      cancelTimer?.()
      cancelTimer = undefined
      // A write that a thread has begun ends before the process exits.
      if (isWriting) chunk = NOTHING
      for (let waitedMs = 0; chunk.length > 0 || text !== '';) {
        if (chunk.length === 0) chunk = takeText()
        try {
          advance(writeSync(fd, chunk))
        } catch (error) {
          if (isFull(error) && waitedMs < patienceMs) {
            Atomics.wait(NEVER, 0, 0, FULL_RETRY_MS)
            waitedMs += FULL_RETRY_MS
          } else {
            drop()
            chunk = takeText()
            drop()
          }
        }
      }
    },
    /** Lines so far that are not in the output. */
    dropped: () => dropped,
  }
}

const LINE_BREAK = 10
const NOTHING = new Uint8Array()
const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Its reader has not caught up: nothing was written, and there is no harm in trying again. */
function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'EBUSY')
}
