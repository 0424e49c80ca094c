/** The storefront's side: posts like any HTTP client, and raw lines that no well-behaved client would send. */
import { ACCOUNT } from '../support/constants.ts'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { Agent, request, type Dispatcher } from 'undici'

export const EVENTS = `/v5/ad_accounts/${ACCOUNT}/events`

/** Another address than the gateway's, which the relay sees as 127.0.0.1. */
export const CLIENT_ADDRESS = '127.0.0.7'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: unknown
}

export interface Post {
  readonly body: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Client {
  /** Posts and reads the answer; a reset, or an answer that is no JSON, throws. */
  readonly post: (post: Post) => Promise<Answer>
}

export function createClient(t: Test, port: number, connections = 1): Client {
  const dispatcher: Dispatcher = new Agent({
    connections,
    pipelining: 1,
    localAddress: CLIENT_ADDRESS,
  })
  t.teardown(() => dispatcher.destroy())
  return {
    async post({ path = EVENTS, headers = {}, body }) {
      const answer = await request(`http://127.0.0.1:${port}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
        dispatcher,
      })
      return { status: answer.statusCode, headers: answer.headers, body: await answer.body.json() }
    },
  }
}

/** Sends the lines as they are (no client normalizes the path) and reads the answer to its end. */
export async function sendRaw(
  port: number,
  lines: readonly string[],
): Promise<{ readonly statusLine: string; readonly body: unknown }> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`)
  const answer = await text(socket)
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return { statusLine: head.slice(0, head.indexOf('\r\n')), body: JSON.parse(body) }
}
