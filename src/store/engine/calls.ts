/**
 * Calls between two threads, in both directions, over one message port. The calls of one turn of the loop travel in one
 * message, and so do the answers of one turn. Bytes are transferred instead of copied: the `payload` of a call's first argument,
 * and of an answer, its batch or its entries. The sender must not use them afterwards.
 *
 * Errors of errors.ts arrive with their class, all others with code, message and stack.
 */
import { nextTick } from 'node:process'
import { clearImmediate, setImmediate as runAfterTurn } from 'node:timers'
import type { MessagePort } from 'node:worker_threads'
import type { EngineThread } from './engine.ts'
import * as errors from '../../errors.ts'
import { createSlots } from '../../slots.ts'

/** The functions that one side offers. */
export type Api<Names extends string = string> = Record<Names, (...args: never[]) => unknown>

export type Calls<Theirs extends Api> = ReturnType<typeof connectCalls<Theirs>>

interface Call {
  /** Undefined: nobody waits for an answer. */
  readonly id: number | undefined
  readonly name: string
  readonly args: readonly unknown[]
}

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly error?: ThrownError
}

interface ThrownError {
  readonly code: string
  readonly message: string
  /** Of errors that the table does not have. */
  readonly stack: string | undefined
}

interface Message {
  readonly calls: readonly Call[]
  readonly answers: readonly Answer[]
}

/** `ours` may be filled later, but before anything of it is asked for. */
export function connectCalls<Theirs extends Api>(port: MessagePort | EngineThread, ours: Partial<Api>) {
  type Name = keyof Theirs & string
  type AnswerOf<N extends Name> = Awaited<ReturnType<Theirs[N]>>
  const waiting = createSlots<Pick<PromiseWithResolvers<never>, 'resolve' | 'reject'>>()
  let calls: Call[] = []
  let answers: Answer[] = []
  let failure: Error | undefined
  let sendingAfterTurn: NodeJS.Immediate | undefined
  let isSendingSoon = false

  function send(): void {
    clearImmediate(sendingAfterTurn)
    sendingAfterTurn = undefined
    isSendingSoon = false
    if (calls.length + answers.length === 0) return
    const message: Message = { calls, answers }
    calls = []
    answers = []
    const holders = [
      ...message.calls.map(({ args }) => args[0]),
      ...message.answers.map(({ value }) => value),
    ]
    port.postMessage(message, handOver(holders.flatMap(payloadsOf)))
  }

  function push(call: Call): void {
    calls.push(call)
    sendingAfterTurn ??= runAfterTurn(send)
  }

  /**
   * The answers of one transaction leave together, before the next transaction begins: after all microtasks, since answers take
   * differently many of them.
   */
  function answer(one: Answer): void {
    answers.push(one)
    if (!isSendingSoon) nextTick(send)
    isSendingSoon = true
  }

  async function serve({ id, name, args }: Call): Promise<void> {
    try {
      const value = await (ours[name] as (...args: readonly unknown[]) => unknown)(...args)
      if (id !== undefined) answer({ id, value })
    } catch (error) {
      if (id !== undefined) answer({ id, error: toThrownError(error) })
    }
  }

  function conclude({ id, value, error }: Answer): void {
    const caller = waiting.take(id)
    if (error === undefined) caller?.resolve(value as never)
    else caller?.reject(reviveError(error))
  }

  port.on('message', (message: Message) => {
    for (const one of message.answers) conclude(one)
    for (const call of message.calls) void serve(call)
  })

  return {
    call: <N extends Name>(name: N, ...args: Parameters<Theirs[N]>) =>
      new Promise<AnswerOf<N>>((resolve, reject) => {
        if (failure !== undefined) return reject(failure)
        push({ id: waiting.add({ resolve, reject }), name, args })
      }),
    /** Without an answer. */
    notify<N extends Name>(name: N, ...args: Parameters<Theirs[N]>): void {
      if (failure === undefined) push({ id: undefined, name, args })
    },
    /** The other side is gone: everything rejects, now and later. */
    fail(error: Error): void {
      failure = error
      for (const { reject } of waiting) reject(error)
    },
  }
}

interface PayloadHolder {
  payload: Uint8Array
}

function payloadsOf(value: unknown): PayloadHolder[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.filter(hasPayload)
  if (hasPayload(value)) return [value]
  return 'batch' in value && hasPayload(value.batch) ? [value.batch] : []
}

function hasPayload(value: unknown): value is PayloadHolder {
  return typeof value === 'object' && value !== null && 'payload' in value
}

/** Whole buffers are transferred. Views of a larger buffer, which would be copied as a whole, share a new one. */
function handOver(holders: readonly PayloadHolder[]): ArrayBuffer[] {
  const views = holders.filter(({ payload }) => payload.byteLength < payload.buffer.byteLength)
  const shared = new ArrayBuffer(views.reduce((sum, { payload }) => sum + payload.byteLength, 0))
  let offset = 0
  for (const holder of views) {
    const bytes = new Uint8Array(shared, offset, holder.payload.byteLength)
    bytes.set(holder.payload)
    holder.payload = bytes
    offset += bytes.byteLength
  }
  return [...new Set(holders.map(({ payload }) => payload.buffer as ArrayBuffer))]
}

type ErrorClass = new (message: string) => Error

const ERRORS = new Map(
  Object.values(errors)
    .flatMap((one) =>
      typeof one === 'function'
        ? [[new (one as ErrorClass)('') as Error & { code: string }, one] as const]
        : [],
    )
    .map(([{ code }, one]) => [code, one as ErrorClass]),
)

function toThrownError(error: unknown): ThrownError {
  const code = errors.codeOf(error)
  if (!(error instanceof Error)) return { code, message: String(error), stack: undefined }
  return { code, message: error.message, stack: ERRORS.has(code) ? undefined : error.stack }
}

function reviveError({ code, message, stack }: ThrownError): Error {
  const KnownError = ERRORS.get(code)
  // The text may be one that the class would fill in, so it is set afterwards.
  if (KnownError !== undefined) return Object.assign(new KnownError(''), { message })
  return Object.assign(new Error(message), { code }, stack === undefined ? {} : { stack })
}
