/** One post over a kept-alive connection, and all its possible ends. */
import { Agent, request as send } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export interface Answered {
  readonly kind: 'answered'
  readonly status: number
  readonly body: AnswerBody
  readonly durationMs: number
}

export interface Unanswered {
  readonly kind: 'unanswered'
  /** `ECONNREFUSED`: nobody listened, so nothing can have been taken. */
  readonly code: string
  /** The connection had carried an answer before, or had been open for long: the relay had accepted it. */
  readonly wasAccepted: boolean
}

export interface AnswerBody {
  readonly code?: number
  readonly events?: readonly EventAnswer[]
  readonly details?: { readonly events: readonly EventAnswer[] }
}

interface EventAnswer {
  readonly status: string
  readonly error_message: string
  readonly warning_message: string
}

export interface PostOptions {
  readonly port: number
  readonly agent: Agent
  readonly relayKey: string
  readonly adAccountId: string
  readonly body: string
  readonly prefer?: string | undefined
  /** The second half of the body comes so much later. */
  readonly pauseMs?: number
}

/** A connection that waits to be accepted when the listener closes is reset by the kernel, unread. The loop accepts one a turn. */
const ACCEPTED_AFTER_MS = 1000
const TIMEOUT_MS = 45_000

export function createAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 })
}

export function post(options: PostOptions): Promise<Answered | Unanswered> {
  const { port, agent, relayKey, adAccountId, body, prefer, pauseMs = 0 } = options
  const startedMs = performance.now()
  let connectedMs = Infinity
  return new Promise((resolve) => {
    const path = `/v5/ad_accounts/${adAccountId}/events`
    const headers = {
      authorization: `Bearer ${relayKey}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...(prefer !== undefined && { prefer }),
    }
    const request = send({
      host: '127.0.0.1',
      port,
      path,
      method: 'POST',
      agent,
      headers,
      timeout: TIMEOUT_MS,
    })
    const fail = (error: Error & { code?: string }) => {
      const wasAccepted = request.reusedSocket || performance.now() - connectedMs > ACCEPTED_AFTER_MS
      resolve({ kind: 'unanswered', code: error.code ?? error.message, wasAccepted })
    }
    request.on('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => (connectedMs = performance.now()))
    })
    request.on('error', fail)
    request.on('timeout', () => request.destroy(Object.assign(new Error('timeout'), { code: 'TIMEOUT' })))
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', fail)
      response.on('end', () => {
        const durationMs = performance.now() - startedMs
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({ kind: 'answered', status: response.statusCode!, body: parse(text), durationMs })
      })
    })
    void write()

    async function write(): Promise<void> {
      if (pauseMs > 0) {
        request.write(body.slice(0, body.length / 2))
        await delay(pauseMs)
        request.end(body.slice(body.length / 2))
      } else request.end(body)
    }
  })
}

function parse(text: string): AnswerBody {
  try {
    return JSON.parse(text) as AnswerBody
  } catch {
    return {}
  }
}
